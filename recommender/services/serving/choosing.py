"""From candidates to a list: what is true now, what the visitor and the shop want, and how a list should look."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recommender.conf import ServingSettings, conf
from recommender.engine.data.interactions import UNKNOWN
from recommender.engine.ranking import explore, rerank
from recommender.engine.ranking.diversify import WORTH
from recommender.models import Item, Rule
from recommender.services import controls, reasons, rules
from recommender.services.controls import Controls
from recommender.services.filtering import Condition
from recommender.services.rules import Acting, Applied
from recommender.services.serving import truth
from recommender.services.serving.answers import Recommendation

SPARE = 4  # items fetched beyond the wanted ones, in place of those that are sold out
POOL = 4  # candidates per wanted result, so that filters and diversity have something to choose from
RULE = "rule"  # the source of what only a rule named
BROUGHT = 0.25  # share of a list that boosts may bring in though no source named it
WIDE = 3  # items fetched per wanted result where a list is to be mixed


@dataclass(frozen=True)
class Terms:
    """What holds for an answer, whatever was learned."""

    category: str | None = None
    condition: Condition | None = None
    exclude: Collection[str] = ()
    wishes: Controls = controls.DEFAULT
    acting: Sequence[Acting] = ()
    settings: ServingSettings = field(default_factory=lambda: conf().served)
    stars: bool = False
    """Whether the items should come with the mean of their reviews."""


@dataclass(frozen=True)
class Candidates:
    """C of them, best first."""

    item_ids: Sequence[str]
    scores: Sequence[float] | NDArray[np.float32]
    """(C,), 0 or more."""
    sources: Sequence[str] = ()
    vectors: NDArray[np.float32] | None = None
    """(C, D)."""
    new: NDArray[np.bool_] | None = None
    """(C,): items that the model does not know."""
    causes: Callable[[NDArray[np.int64]], Sequence[str | None]] | None = None
    """Of some places, the item of the past event that brings most of their score; None where none does."""
    items: Mapping[str, Item] | None = None
    """The items themselves, where they were read already."""
    own: int = 2**31
    """From this place on they were not found but named by rules."""

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True)
class Chosen:
    entries: list[Recommendation]
    causes: Mapping[str, str]
    """By recommended item, the past one that brings most of its score."""
    titles: Mapping[str, str]
    """Of those past items."""
    chances: Mapping[str, float]
    """Where one place was drawn by chance: what could have stood there, and how probably."""


def choose(
    found: Candidates, n: int, terms: Terms, *, mixed: bool = False, rng: np.random.Generator | None = None
) -> "Chosen":
    """The best n that can be bought now and that the terms allow, in order.

    `mixed`: by diversity and its caps; otherwise by score alone. `rng`: draw one place.
    """
    if terms.acting:
        found = _with_named(found, n, terms)
    places = [place for place, item_id in enumerate(found.item_ids) if item_id not in terms.exclude]
    at_once = (n * WIDE if mixed else n) + SPARE  # nearly always enough, unless much is sold out or ruled out
    if len(found) > found.own:  # looked at first, since it may stand anywhere
        places.sort(key=lambda place: place < found.own)
        at_once += len(found) - found.own
    kept, items, causes = list[int](), list[Item](), list[str | None]()
    past: dict[str, str] = {}
    # Of three times as many as will be shown, only what decides; pages show more, and rules may ask for all.
    whole = not mixed or terms.stars or bool(terms.acting) or terms.condition is not None
    while places:
        now, places = places[:at_once], places[at_once:]
        at_once *= POOL
        whose: Sequence[str | None] = found.causes(np.array(now)) if found.causes is not None else [None] * len(now)
        ids = [found.item_ids[place] for place in now]
        # The titles of what stands behind them are asked for in the same query.
        there = found.items or truth.read({*ids, *filter(None, whose)}, stars=terms.stars, whole=whole)
        past |= {cause: there[cause].title for cause in whose if cause is not None and cause in there}
        for place, item_id, cause in zip(now, ids, whose, strict=True):
            item = there.get(item_id)
            if item is not None and _allowed(item, terms):
                kept.append(place)
                items.append(item)
                causes.append(cause)
        factors = terms.wishes.factors(items)
        applied = rules.apply(terms.acting, items, np.asarray(found.scores, dtype=np.float32)[kept] * factors)
        excluded = applied.excluded | (factors <= 0)
        if len(items) - np.count_nonzero(excluded) >= n:
            break
    if not items:
        return Chosen([], {}, {}, {})
    if not mixed and not terms.acting and not terms.wishes.topics:
        order = np.arange(min(n, len(items)))
    else:
        extra = explore.WIDTH if rng is not None else 0
        order = _ordered(found, np.array(kept), items, causes, n, terms, applied, excluded, mixed, extra)
    chances: dict[int, float] = {}
    drawn = None
    if rng is not None:
        order, drawn, chances = explore.explore(order, applied.scores, n, rng, applied.pins)
    entries = [
        Recommendation(
            items[index],
            position,
            float(applied.scores[index]),
            "",
            found.sources[kept[index]] if found.sources else "",
            applied.named[index] if terms.acting else (),
            chances[index] if drawn == position else None,
        )
        for position, index in enumerate(order.tolist(), 1)
    ]
    if not whole and found.items is None:
        truth.add_pictures([entry.item for entry in entries])
    behind = {items[index].pk: causes[index] for index in order.tolist()}
    return Chosen(
        entries,
        {item_id: cause for item_id, cause in behind.items() if cause is not None},
        past,
        {items[index].pk: chance for index, chance in chances.items()},
    )


def _allowed(item: Item, terms: Terms) -> bool:
    if not truth.is_for_sale(item, terms.category):
        return False
    return terms.condition is None or terms.condition.matches(item)


def _with_named(found: Candidates, n: int, terms: Terms) -> Candidates:
    """The candidates and what pins and boosts name besides, scored as the last of them."""
    there = {*found.item_ids, *terms.exclude}
    pins = sum(rule.action == Rule.Action.PIN for rule in terms.acting)
    # A boost on a whole category must not fill the list with what nobody asked for.
    most = pins * rules.OF_PIN + max(1, int(n * BROUGHT))
    named = [item_id for item_id in rules.candidates(terms.acting, most) if item_id not in there]
    if not named or found.items is not None:
        return found
    scores = np.asarray(found.scores, dtype=np.float32)
    least = scores.min() if len(scores) else np.float32(1)
    own, more = len(found), len(named)

    def causes(places: NDArray[np.int64]) -> list[str | None]:
        behind = iter(found.causes(places[places < own]) if found.causes is not None else ())
        return [next(behind, None) if place < own else None for place in places.tolist()]

    return replace(
        found,
        item_ids=[*found.item_ids, *named],
        scores=np.append(scores, np.full(more, least, dtype=np.float32)),
        sources=[*found.sources, *[RULE] * more] if found.sources else (),
        vectors=None if found.vectors is None else np.pad(found.vectors, ((0, more), (0, 0))),
        new=None if found.new is None else np.append(found.new, np.zeros(more, dtype=np.bool_)),
        causes=causes,
        own=own,
    )


def _ordered(
    found: Candidates,
    kept: NDArray[np.int64],
    items: Sequence[Item],
    causes: Sequence[str | None],
    n: int,
    terms: Terms,
    applied: Applied,
    excluded: NDArray[np.bool_],
    mixed: bool,
    extra: int,
) -> NDArray[np.int64]:
    settings, nothing = terms.settings, np.full(len(items), -1, dtype=np.int32)
    several = len({cause for cause in causes if cause is not None}) > 1  # else there is nothing to share the page with
    limits = applied.limits
    if mixed and found.new is not None and (new := found.new[kept]).any():
        # However well they may score: that is a guess, and there is room for more only where nothing else is left.
        room = max(int(n * settings.newcomers), n - int(np.count_nonzero(~new & ~excluded)))
        limits = [*limits, (new, room)]
    return rerank.rerank(
        applied.scores,
        n,
        vectors=found.vectors[kept] if mixed and found.vectors is not None else None,
        categories=_numbered([item.category_id for item in items]) if mixed and not terms.category else nothing,
        creators=_numbered([item.creator or None for item in items]) if mixed else nothing,
        causes=_numbered(causes) if mixed and several else nothing,
        balance=1 - settings.diversity if mixed else 1.0,
        per_category=settings.per_category,
        per_creator=settings.per_creator,
        one_event=settings.one_event,
        worth=WORTH,
        pins=applied.pins,
        limits=limits,
        excluded=excluded,
        extra=extra,
    )


def _numbered(names: Sequence[str | None]) -> NDArray[np.int32]:
    """The same number for the same name; -1 for none."""
    numbers: dict[str, int] = {}
    return np.array([UNKNOWN if name is None else numbers.setdefault(name, len(numbers)) for name in names], np.int32)


def filled(
    item_ids: Sequence[str],
    scores: Sequence[float],
    n: int,
    exclude: Collection[str] = (),
    reason: str = "",
    category: str | None = None,
    terms: Terms | None = None,
    items: Mapping[str, Item] | None = None,
) -> list[Recommendation]:
    """The first n of these candidates, best first, that can be bought now."""
    terms = replace(terms or Terms(), exclude=exclude, category=category)
    chosen = choose(Candidates(item_ids, scores, items=items), n, terms)
    there = set(item_ids)
    return [replace(entry, reason=reason if entry.item.pk in there else reasons.CHOSEN) for entry in chosen.entries]
