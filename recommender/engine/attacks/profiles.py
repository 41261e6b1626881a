"""What each fake visitor takes and says: targets, selected items, fillers, as rows of a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.attacks.shop import Shop
from recommender.engine.data.activity import RATING
from recommender.engine.data.ids import UNKNOWN
from recommender.engine.errors import InvalidConfig

PUSH, NUKE = "push", "nuke"
KINDS = ("random", "average", "bandwagon", "segment", "love_hate", "reverse_bandwagon", "sybil")
SELECTING = ("bandwagon", "segment", "reverse_bandwagon")
NUKING = ("love_hate", "reverse_bandwagon")  # which were made to nuke; the others to push
GROUP = 8  # sybil accounts that share a circle of like-minded real visitors and a time
ROUNDS = 12  # of drawing items that a profile has not, before it stays shorter
BEST_KNOWN = 0.1  # share of the items that nukes aim at
SEGMENT_FAME = 0.3  # share of the items, the best known, that a segment is known by

Rows = NDArray[np.int64]
Generator = np.random.Generator


@dataclass(frozen=True)
class Plan:
    """A events of P fake visitors, by visitor and in the order they happen."""

    profiles: Rows
    """(A,): from 0."""
    items: Rows
    kinds: NDArray[np.int8]
    values: NDArray[np.float32]
    """(A,): NaN where there is none."""
    groups: Rows
    """(P,): the same number for those that act in the same days."""

    def within(self, budget: int) -> "Plan":
        """As many whole profiles as the budget buys, one at least."""
        ends = np.searchsorted(self.profiles, np.arange(len(self.groups)), side="right")
        count = max(1, int((ends <= budget).sum()))
        keep = slice(0, int(ends[count - 1]))
        return Plan(self.profiles[keep], self.items[keep], self.kinds[keep], self.values[keep], self.groups[:count])


def usual_intent(kind: str) -> str:
    return NUKE if kind in NUKING else PUSH


def targets(shop: Shop, intent: str, count: int, named: Sequence[str], random: Generator) -> NDArray[np.int32]:
    """Rows of the items aimed at. Raises InvalidConfig."""
    if named:
        rows = shop.activity.items.rows(named)
        if (rows == UNKNOWN).any():
            strange = [name for name, row in zip(named, rows.tolist(), strict=True) if row == UNKNOWN]
            raise InvalidConfig(f"No such item: {', '.join(strange[:5])}; name items of this shop as targets.")
        return np.unique(rows)
    known = np.flatnonzero(shop.fame > 0)
    by_fame = known[np.argsort(shop.fame[known], kind="stable")]
    well_known = max(round(BEST_KNOWN * len(known)), 4)
    candidates = by_fame[: len(known) // 2] if intent == PUSH else by_fame[-well_known:]
    if count > len(candidates):
        raise InvalidConfig(f"There are {len(candidates)} items to {intent}, not {count}: take fewer targets.")
    return np.sort(random.choice(candidates, count, replace=False)).astype(np.int32)


def plan(
    shop: Shop,
    kind: str,
    intent: str,
    targets: NDArray[np.int32],
    rivals: NDArray[np.int32],
    selected: int,
    count: int,
    filler: float,
    longest: int | None,
    random: Generator,
) -> Plan:
    """What `count` fake visitors do, with `longest` fillers each at most."""
    groups = np.arange(count) // GROUP if kind == "sybil" else np.zeros(count, np.int64)
    aims = (rivals if len(rivals) else targets).astype(np.int64)
    loud = "least" if intent == NUKE and not len(rivals) else "most"
    reverse = "least" if loud == "most" else "most"
    barred = np.zeros(shop.items, dtype=np.bool_)
    barred[targets] = barred[aims] = True
    parts = [_said(shop, np.repeat(np.arange(count), len(aims)), np.tile(aims, count), loud, random)]
    if kind in SELECTING:
        chosen = _selected(shop, kind, min(selected, shop.known_items // 4), barred, random)
        barred[chosen] = True
        tone = "least" if kind == "reverse_bandwagon" and shop.rated else "most" if shop.rated else "usual"
        parts.append(_said(shop, np.repeat(np.arange(count), len(chosen)), np.tile(chosen, count), tone, random))
    lengths = np.maximum(random.binomial(shop.items, filler, count), 1)
    if longest is not None:
        lengths = np.minimum(lengths, longest)
    if kind == "sybil":
        profiles, places = _lived(shop, lengths, groups, barred, random)
        parts.append(_copied(shop, profiles, shop.activity.item_rows[places].astype(np.int64), places))
    else:
        free = np.flatnonzero(~barred)
        if not len(free):
            raise InvalidConfig("Every item is a target or selected: take fewer.")
        profiles, items = _distinct(np.minimum(lengths, len(free)), _fillers(shop, kind, free, random), shop.items)
        tones = {"average": "item", "love_hate": reverse, "segment": "least" if shop.rated else "usual"}
        parts.append(_said(shop, profiles, items, tones.get(kind, "usual"), random))
    return _shuffled(parts, groups, random)


Events = tuple[Rows, Rows, Rows, NDArray[np.int8], NDArray[np.float32]]
"""Profile, item, place among the events about that item, kind, value."""


def _selected(shop: Shop, kind: str, count: int, barred: NDArray[np.bool_], random: Generator) -> Rows:
    spare = count + int(barred.sum())
    if kind == "bandwagon":
        found = shop.popular(spare)
    elif kind == "reverse_bandwagon":
        found = shop.disliked(spare)
    else:
        famous = shop.popular(max(4, round(SEGMENT_FAME * shop.known_items)))
        among = np.zeros(shop.items, dtype=np.bool_)
        among[famous] = True
        first = int(random.choice(famous))
        found = np.concatenate(([first], shop.taken_with(first, among, spare)))
    return found[~barred[found]][:count]


def _fillers(shop: Shop, kind: str, free: Rows, random: Generator) -> Callable[[int], Rows]:
    """What draws so many items."""
    if kind == "average" and not shop.rated:
        taken = np.cumsum(shop.fame[free] + 1e-9)
        return lambda count: free[
            np.minimum(np.searchsorted(taken, random.random(count) * taken[-1], side="right"), len(free) - 1)
        ]
    return lambda count: free[random.integers(len(free), size=count)]


def _distinct(lengths: Rows, draw: Callable[[int], Rows], n: int) -> tuple[Rows, Rows]:
    """For each profile as many different items as it should have, where so many can be drawn."""
    keys = np.empty(0, dtype=np.int64)
    missing = lengths.copy()
    for _ in range(ROUNDS):
        profiles = np.repeat(np.arange(len(lengths)), missing + missing // 8 + (missing > 0))
        drawn = np.setdiff1d(profiles * n + draw(len(profiles)), keys)
        # Too many may be new: those that stay must not be those with the lowest rows.
        order = np.lexsort((_scattered(drawn), drawn // n))
        drawn = drawn[order]
        own = drawn // n
        drawn = drawn[np.arange(len(own)) - np.searchsorted(own, own) < missing[own]]
        keys = np.concatenate((keys, drawn))
        missing = lengths - np.bincount(keys // n, minlength=len(lengths))
        if not missing.any():
            break
    return keys // n, keys % n


def _scattered(keys: Rows) -> NDArray[np.uint64]:
    """Numbers in no order (Fibonacci hashing), the same for the same keys."""
    mixed = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(29))


def _said(shop: Shop, profiles: Rows, items: Rows, tone: str, random: Generator) -> Events:
    """What profiles say of items, one each: in a shop of ratings stars, in others what visitors do."""
    if tone in ("usual", "item") and not shop.rated:
        return _copied(shop, profiles, items, _events_of(shop, items, random))
    kinds = np.array(shop.against if tone == "least" else shop.favour, dtype=np.int8)
    if not len(kinds):  # nothing speaks against an item here: a fleeting look is the least there is
        kinds = np.array(shop.favour[:1], dtype=np.int8)
    each = len(kinds)
    kind = np.tile(kinds, len(items))
    profile, item = np.repeat(profiles, each), np.repeat(items, each)
    place = np.tile(np.arange(each), len(items))
    value = np.full(len(kind), np.nan, dtype=np.float32)
    for own in np.unique(kind[kind != RATING]):
        mine = kind == own
        value[mine] = _usual_values(shop, int(own), int(mine.sum()), random)
    rated = kind == RATING
    if rated.any():
        value[rated] = _stars(shop, item[rated], tone, random)
    return profile, item, place, kind, value


def _stars(shop: Shop, items: Rows, tone: str, random: Generator) -> NDArray[np.float32]:
    if tone in ("most", "least"):
        return np.full(len(items), shop.stars[-1 if tone == "most" else 0], dtype=np.float32)
    mean, deviation = shop.opinions if tone == "item" else shop.opinion
    means = np.broadcast_to(mean, shop.items)[items]
    return shop.rounded(random.normal(means, np.broadcast_to(deviation, shop.items)[items]))


def _usual_values(shop: Shop, kind: int, count: int, random: Generator) -> NDArray[np.float32]:
    """Values as events of that kind have them: pieces of a purchase."""
    own = shop.activity.values[shop.acts[shop.activity.kinds[shop.acts] == kind]]
    return random.choice(own, count) if len(own) else np.full(count, np.nan, dtype=np.float32)


def _events_of(shop: Shop, items: Rows, random: Generator) -> Rows:
    """A real event of each item, as its place; of any item where it has none."""
    order = np.argsort(shop.item_rows, kind="stable")
    starts = np.searchsorted(shop.item_rows[order], np.arange(shop.items + 1))
    counts = np.diff(starts)[items]
    drawn = starts[items] + (random.random(len(items)) * counts).astype(np.int64)
    anything = random.integers(len(order), size=len(items))
    return shop.acts[order[np.where(counts > 0, drawn, anything)]]


def _copied(shop: Shop, profiles: Rows, items: Rows, places: Rows) -> Events:
    """What profiles do with items, as it was done in the real events at `places`."""
    kinds, values = shop.activity.kinds[places], shop.activity.values[places]
    return profiles, items, np.zeros(len(places), np.int64), kinds, values


def _lived(shop: Shop, lengths: Rows, groups: Rows, barred: NDArray[np.bool_], random: Generator) -> tuple[Rows, Rows]:
    """The profile and the place of real events to copy: of two visitors for each fake one, who share a fellow; the
    fellows of one group's accounts all took something that one visitor took."""
    order = np.argsort(shop.visitor_rows, kind="stable")
    visitors = shop.visitor_rows[order]
    by_item = np.argsort(shop.item_rows, kind="stable")
    starts = np.searchsorted(shop.item_rows[by_item], np.arange(shop.items + 1))

    def fellow(of: Rows) -> Rows:
        """Somebody who took something that each took."""
        low, high = np.searchsorted(visitors, of), np.searchsorted(visitors, of, side="right")
        item = shop.item_rows[order[low + (random.random(len(of)) * (high - low)).astype(np.int64)]]
        width = starts[item + 1] - starts[item]
        drawn = by_item[starts[item] + (random.random(len(of)) * width).astype(np.int64)]
        return shop.visitor_rows[drawn].astype(np.int64)

    everybody = np.unique(visitors)
    firsts = random.choice(everybody, int(groups.max()) + 1)[groups]
    profiles, places = np.empty(0, np.int64), np.empty(0, np.int64)
    missing = lengths.copy()
    for _ in range(ROUNDS):  # more donors where two have not enough
        asked = np.flatnonzero(missing)
        for donor in (fellow(firsts[asked]), fellow(fellow(firsts[asked]))):
            low, high = np.searchsorted(visitors, donor), np.searchsorted(visitors, donor, side="right")
            take = np.minimum(high - low, (missing[asked] + 1) // 2)
            owner = np.repeat(asked, high - low)
            at = np.arange(len(owner)) - np.repeat(np.cumsum(high - low) - (high - low), high - low)
            at = order[at + np.repeat(low, high - low)]
            rank = _ranks(owner, random)
            chosen = (rank < np.repeat(take, high - low)) & ~barred[shop.item_rows[at]]
            profiles, places = np.concatenate((profiles, owner[chosen])), np.concatenate((places, at[chosen]))
        keys = profiles * shop.items + shop.item_rows[places]
        first = np.sort(np.unique(keys, return_index=True)[1])
        profiles, places = profiles[first], places[first]
        missing = np.maximum(lengths - np.bincount(profiles, minlength=len(lengths)), 0)
        if not missing.any():
            break
    return profiles, shop.acts[places]


def _ranks(groups: Rows, random: Generator) -> Rows:
    """Each row's place in a random order of its group's rows; groups sorted."""
    order = np.lexsort((random.random(len(groups)), groups))
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = np.arange(len(groups)) - np.searchsorted(groups, groups)
    return ranks


def _shuffled(parts: Sequence[Events], groups: Rows, random: Generator) -> Plan:
    """Each profile's items in random order, what is said of one item together."""
    profiles, items, places, kinds, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    new = places == 0
    keys = random.random(int(new.sum()))[np.cumsum(new) - 1]
    order = np.lexsort((places, keys, profiles))
    return Plan(profiles[order], items[order], kinds[order], values[order].astype(np.float32), groups)
