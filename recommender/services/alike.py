"""What is like a picture, a recording or another item, and why.

Two kinds of likeness: by content, what items say, show and sound like; and by behaviour, what the same shoppers like.
An item nobody has touched yet has the first kind only, a shop without encoders the second only.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from recommender.engine.data.interactions import UNKNOWN
from recommender.engine.encoders import Picture, Sound
from recommender.engine.errors import Unreadable
from recommender.engine.ranking.fuse import fuse
from recommender.models import Item
from recommender.services import catalogue, serving, shared_words
from recommender.services.content import vectors
from recommender.services.errors import InvalidInput, NotPrepared
from recommender.services.serving import POOL, Live, Recommendation, Shelf, Terms

By = Literal["both", "content", "behaviour"]

SAMPLE = 512  # items that the likeness of two is held against
CLOSER_THAN = 0.98  # share of the sample that two items must be closer than, to be called alike in one respect
MOST_REASONS = 2  # said of one item
IN_WORDS = {"text": "close in meaning", "image": "looks alike", "audio": "sounds alike"}


@dataclass(frozen=True)
class Why:
    """What makes an item like another. The cosines are by one modality; None where one of the two has no vector."""

    shoppers: bool = False
    """The live model finds that the same shoppers like both."""
    creator: bool = False
    category: bool = False
    words: tuple[str, ...] = ()
    """What both texts speak of, the rarest word first; see shared_words."""
    text: float | None = None
    image: float | None = None
    audio: float | None = None
    alike: frozenset[str] = frozenset()
    """The modalities in which the two are closer than nearly all other items are."""


@dataclass(frozen=True)
class Alike(Recommendation):
    why: Why = Why()


def by_photo(picture: Picture, n: int = 24) -> Shelf:
    """Items whose pictures look like this one. Raises NotPrepared, Unreadable for a picture that shows nothing."""
    return _nearest(
        "image", picture, n, "photo", "Most like your picture",
        "Pictures are being prepared for this. Try again in a few minutes.",
        "The picture is of one colour only. Send one that shows something.",
    )  # fmt: skip


def by_sound(sound: Sound, n: int = 24) -> Shelf:
    """Items whose recordings sound like this one. Raises NotPrepared, Unreadable for silence."""
    return _nearest(
        "audio", sound, n, "sound", "Most like your recording",
        "Recordings are being prepared for this. Try again in a few minutes.",
        "The recording is silent. Check the microphone, or choose another file.",
    )  # fmt: skip


def prepared(modality: str) -> bool:
    """Whether items can be searched by something of this modality that comes from outside."""
    return _searchable(modality) is not None


def _searchable(modality: str) -> vectors.Space | None:
    space = vectors.space(modality)
    return space if space is not None and len(space) and space.encoder is not None else None


def _nearest(modality: str, sent: object, n: int, name: str, title: str, unprepared: str, empty: str) -> Shelf:
    space = _searchable(modality)
    if space is None:
        raise NotPrepared(unprepared)
    query = space.encode([sent])[0]
    if not query.any():
        raise Unreadable(empty)
    found, cosines = space.nearest(query, n * POOL)
    return Shelf(name, title, "content", None, serving.filled(found, cosines.tolist(), n))


def similar(
    item_id: str,
    n: int = 10,
    *,
    by: By = "both",
    exclude: Collection[str] = (),
    current: Live | None = None,
    terms: Terms | None = None,
) -> Shelf:
    """Items like this one, each an Alike with the reason in words; popular ones of its category, without reasons of
    that kind, where nothing is known of it. Raises UnknownItem, InvalidInput."""
    if by not in get_args(By):
        raise InvalidInput(f"by must be one of {', '.join(get_args(By))}.")
    item = catalogue.item(item_id)
    current = current or serving.live()
    shut_out = {item_id, *exclude}
    k = n * POOL
    nobody: tuple[list[str], list[float]] = [], []
    shoppers = nobody if by == "content" else serving.model_neighbours(item_id, k + len(shut_out), current)
    content = nobody if by == "behaviour" else serving.content_neighbours(item_id, k, shut_out)
    # By places: cosines and a model's scores have nothing in common that could be added up.
    ranked = fuse([(found, np.array(scores)) for found, scores in (shoppers, content)], (1, 1), method="reciprocal")
    entries = serving.filled([found for found, _ in ranked], [score for _, score in ranked], n, shut_out, terms=terms)
    if not entries:
        return serving.similar(item_id, n, exclude=exclude, current=current, terms=terms)
    reasons = _reasons(item, [entry.item for entry in entries], set(shoppers[0]))
    told = [
        Alike(entry.item, entry.position, entry.score, _sentence(why, entry.item), rules=entry.rules, why=why)
        for entry, why in zip(entries, reasons, strict=True)
    ]
    run_id, tier = (current.run_id, "similar") if shoppers[0] else (None, "content")
    return Shelf("similar" if by == "both" else f"similar-{by}", "Similar items", tier, run_id, list(told))


def ways(item_id: str, current: Live | None = None) -> tuple[By, ...]:
    """By what `similar` can choose for this item; one way or none is no choice."""
    model = (current or serving.live()).model
    space = vectors.space("fused")
    behaviour = model is not None and model.items.row(item_id) != UNKNOWN
    content = space is not None and bool(space.vectors([item_id]).any())
    if behaviour and content:
        return "both", "content", "behaviour"
    return ("content",) if content else ("behaviour",) if behaviour else ()


def _reasons(item: Item, others: Sequence[Item], shoppers: Collection[str]) -> list[Why]:
    cosines = {modality: _cosines(modality, item.pk, [other.pk for other in others]) for modality in IN_WORDS}
    shared = shared_words.between(item, others)
    found = []
    for place, other in enumerate(others):
        near = {modality: cosine for modality, (values, _) in cosines.items() if (cosine := values[place]) is not None}
        found.append(
            Why(
                shoppers=other.pk in shoppers,
                creator=bool(item.creator) and other.creator == item.creator,
                category=item.category_id is not None and other.category_id == item.category_id,
                words=shared[place],
                alike=frozenset(modality for modality, cosine in near.items() if cosine >= cosines[modality][1]),
                **near,
            )
        )
    return found


def _cosines(modality: str, item_id: str, other_ids: Sequence[str]) -> tuple[list[float | None], float]:
    """For each of the others its cosine with the item, and how large one must be to tell of a likeness."""
    unknown: tuple[list[float | None], float] = [None] * len(other_ids), np.inf
    space = vectors.space(modality)
    if space is None or not len(space):
        return unknown
    sample = [found for found in space.sample(SAMPLE) if found != item_id]
    table = space.vectors([item_id, *other_ids, *sample])
    query, others, rest = table[0], table[1 : 1 + len(other_ids)], table[1 + len(other_ids) :]
    if not query.any() or not len(rest):
        return unknown
    values: list[float | None] = [float(other @ query) if other.any() else None for other in others]
    return values, float(np.quantile(rest @ query, CLOSER_THAN))


def _sentence(why: Why, other: Item) -> str:
    """The strongest reasons, for a shopper."""
    told = []
    if why.creator:
        told.append(f"also by {other.creator}")
    if why.words:
        # A card has room for three lines.
        told.append(f"both speak of {_listed(why.words[: shared_words.MOST - why.shoppers])}")
    told += [
        words
        for modality, words in IN_WORDS.items()
        if modality in why.alike and not (why.words and modality == "text")
    ]
    told = told[: MOST_REASONS - why.shoppers]
    if why.shoppers:
        told.append("liked by the same shoppers")
    if not told and why.category and other.category:
        told.append(f"also in {other.category.name}")
    sentence = "; ".join(told) or "much like it on the whole"
    return sentence[0].upper() + sentence[1:]


def _listed(words: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)
