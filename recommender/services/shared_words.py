"""Which words two items share, the rarest first: the plainest reason why they are alike."""

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from recommender.models import Item
from recommender.services.content import vectors

MOST = 3  # words that are named
SAMPLE = 2_000  # items whose texts say which words are common
FRESH_FOR_S = 1800.0  # seconds until they are read again
COMMON = 0.04  # share of the items beyond which a word says nothing
LEAST_COMMON = 3  # items that may always share a word, in a small shop
LONGEST_TEXT = 4_000  # characters of one item that are looked at
_WORD = re.compile(r"[^\W\d_]{4,24}")
# English words of four letters and more that tell of nothing, however rarely a shop may write them.
EMPTY = frozenset(
    _WORD.findall("""
    about above after again against ahead almost alone along already also although always among another anything
    around away back became because become been before began behind being below best better between beyond both bring
    came cannot come could does doing done down during each either else even ever every everyone everything except from
    full gets give given gives goes going gone good great have having here herself himself however indeed inside instead
    into itself just keep kept kind know known large last later least less like little long look looks lost made make
    makes making many might mind more most much must myself near nearly need never next none nothing once only other
    others ours over part perhaps place quite rather really right same says seem seems several shall short should
    since small some someone something soon still such take taken takes tell tells than that their theirs them
    themselves then there these they thing things this those though through thus together told toward towards turn turns
    under until upon used very want wants well went were what when where which while whole whom whose will with within
    without would year years your yours""")
)


@dataclass(frozen=True)
class Usage:
    """How often words are used in this shop."""

    items: int
    holding: Counter[str]
    """Items that hold a word."""
    small: frozenset[str]
    """Words that are somewhere written without a capital; the others are names."""

    def telling(self, word: str) -> bool:
        return word not in EMPTY and self.holding[word] <= max(LEAST_COMMON, COMMON * self.items)


_known: list[tuple[float, Usage]] = []  # the latest, and when it was read (monotonic seconds)


def between(item: Item, others: Sequence[Item]) -> list[tuple[str, ...]]:
    """For each of the others up to MOST words that its text shares with the item's. Names of makers and categories
    are left out: they are reasons of their own."""
    if not others:
        return []
    used = usage()
    own = _words(item)
    found = []
    for other in others:
        shared = own.keys() & _words(other).keys()
        shared -= _known_otherwise(item) | _known_otherwise(other)
        telling = sorted((used.holding[word], word) for word in shared if used.telling(word))[:MOST]
        found.append(tuple(word if word in used.small else own[word] for _, word in telling))
    return found


def usage() -> Usage:
    """Of a sample of the shop's items, kept for a while."""
    if _known and time.monotonic() - _known[0][0] < FRESH_FOR_S:
        return _known[0][1]
    holding: Counter[str] = Counter()
    small: set[str] = set()
    items = _sample()
    for item in items:
        words = _words(item)
        holding.update(words.keys())
        small.update(word for word in words.values() if word.islower())
    read = Usage(len(items), holding, frozenset(small))
    if items:
        _known[:] = [(time.monotonic(), read)]
    return read


def forget() -> None:
    """Drop what this process remembers."""
    _known.clear()


def _sample() -> list[Item]:
    items = Item.objects.only("title", "description", "attributes")
    space = vectors.space("fused")
    if space is not None and len(space) > SAMPLE:  # from the whole shop, and not only what is new
        return list(items.filter(pk__in=space.sample(SAMPLE)))
    return list(items.order_by("-added_at")[:SAMPLE])


def _words(item: Item) -> dict[str, str]:
    """{word in small letters: as it is written}, of what an item says of itself."""
    values = item.attributes.values() if isinstance(item.attributes, dict) else ()
    told = [part for value in values for part in (value if isinstance(value, list) else [value])]
    text = " ".join([item.title, item.description, *(part for part in told if isinstance(part, str))])
    found: dict[str, str] = {}
    for word in _WORD.findall(text[:LONGEST_TEXT]):
        low = word.lower()
        if low not in found or word == low:
            found[low] = word
    return found


def _known_otherwise(item: Item) -> set[str]:
    names = f"{item.creator} {item.category.name if item.category else ''}"
    return {word.lower() for word in _WORD.findall(names)}
