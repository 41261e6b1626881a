"""Reviews that are not what they seem: bought praise, smear campaigns, copied texts, bursts, words against stars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.found import NO_GROUP, Found
from recommender.engine.anomaly.subjects.judging import SUSPICIOUS, Trait, judge
from recommender.engine.anomaly.subjects.texts import NONE, families
from recommender.engine.data.ids import Ids
from recommender.engine.errors import NoData
from recommender.engine.options import Options

DAY_S = 86_400
WINDOW_S = 7 * DAY_S  # within which those who act together review an item
BURST_S = 3 * DAY_S  # on either side of a review: what counts as a burst
SITTING_S = 3600  # reviews by one visitor within so long are written in one go
MOST_PAIRS = 20_000_000  # of reviews of an item that are compared, to bound memory
NEXT = 40  # reviews of an item after each that it is compared with
SURPRISE = 6.0  # nats: how unlikely it is that two visitors meet at several items by chance, e^-6 is one in 400
SHORT = 8  # words; shorter texts repeat among honest people
LIKED, DISLIKED = 4, 2  # stars from which, and to which
OTHERS = 3  # reviews of an item by others, from which they have an opinion
PUSH, NUKE, TOGETHER, COPIED, BURST, CONTRADICTION = "push", "nuke", "together", "copied", "burst", "contradiction"

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Words:
    """R reviews, in any order."""

    ids: Sequence[str]
    visitors: Ids
    items: Ids
    visitor_rows: NDArray[np.int32]
    item_rows: NDArray[np.int32]
    stars: NDArray[np.float32]
    """(R,): 1 to 5."""
    times: Ints
    """(R,): Unix seconds; all equal where times are not known."""
    texts: Sequence[str]
    sentiment: NDArray[np.float32]
    """(R,): how surely the words praise, 0 to 1; NaN where nobody has judged them."""
    looked_s: NDArray[np.float32]
    """(R,): seconds since its visitor first looked at the item; infinite where never, NaN where that is not known."""
    bought: NDArray[np.float32]
    """(R,): 1 where its visitor had bought the item by then, 0 where not, NaN where that is not known."""
    steps: NDArray[np.float32]
    """(R,): events of its visitor other than ratings and impressions; NaN where that is not known."""


def find(columns: Words, options: Options, known: Mapping[str, NDArray[Any]] | None = None) -> Found:
    """Judge every review by its words, its stars, its moment, and who else gave the same.

    What is missing (times, sentiment, looks, purchases) says nothing, and stars that are no number count as three; the
    rest is judged. Raises NoData, and what `judge` raises.
    """
    count = len(columns.ids)
    if not count:
        raise NoData("Nobody has written a review yet.")
    columns = replace(columns, stars=np.nan_to_num(columns.stars, nan=3.0, posinf=3.0, neginf=3.0))
    timed = bool(columns.times.min() < columns.times.max())
    side = np.select([columns.stars >= LIKED, columns.stars <= DISLIKED], [1, -1], 0)
    texts = families(columns.texts)
    options.progress(0.3, "comparing reviewers")
    copies, own_copies = _copies(texts.of, columns.visitor_rows, texts.words)
    unknown, alone = np.full(count, np.nan), np.full(count, NO_GROUP, dtype=np.int64)
    partners, shared, groups = _partners(columns, side) if timed else (unknown, unknown, alone)
    burst, burst_count, burst_usual = _bursts(columns, side) if timed else (unknown, unknown, unknown)
    mean, others = _others(columns.item_rows, columns.stars, len(columns.items))
    sitting = _sittings(columns.visitor_rows, columns.times) if timed else unknown
    unseen = np.where(np.isnan(columns.looked_s), np.nan, np.isinf(columns.looked_s) & ~(columns.bought == 1))
    dwell = np.where(np.isinf(columns.looked_s), np.nan, columns.looked_s)
    distance = np.where(others >= OTHERS, np.abs(columns.stars - mean), np.nan)
    praise = (columns.stars - 1) / 4
    gap = np.where(side == 0, np.nan, np.abs(columns.sentiment - praise))
    extreme = np.isin(columns.stars, (1, 5)).astype(np.float64)

    def stars(row: int) -> str:
        return f"{columns.stars[row]:.0f} star{'' if columns.stars[row] == 1 else 's'}"

    campaign = {TOGETHER: 1.0, BURST: 1.0}

    def weighing(most: float) -> dict[str, float]:
        return {kind: most * share for kind, share in campaign.items()}

    traits = [
        Trait(
            "partners",
            partners,
            lambda row, value, usual: (
                f"Gave {stars(row)} to the same {shared[row]:.0f} items within days as {_people(value)}; "
                "shoppers usually share no such items."
            ),
            {TOGETHER: 6.5},
            low=0.5,
            high=4,
            detected=False,
        ),
        Trait(
            "shared_items",
            shared,
            lambda row, value, usual: f"{value:.0f} items in common with one other reviewer, within days.",
            {TOGETHER: 1.5},
            low=1,
            high=3,
            detected=False,
        ),
        Trait(
            "burst",
            burst,
            lambda row, value, usual: (
                f"One of {burst_count[row]:.0f} reviews of this item with {_tone(side[row])} stars within "
                f"{2 * BURST_S // DAY_S} days; usual are {burst_usual[row]:.1f}."
            ),
            {BURST: 4.5, TOGETHER: 1.0},
            low=5,
            high=20,
        ),
        Trait(
            "copied_words",
            copies * texts.words,
            lambda row, value, usual: (
                f"{_people(copies[row]).capitalize()} wrote almost the same {texts.words[row]} words."
            ),
            {COPIED: 6.5, TOGETHER: 3.0, BURST: 3.0},
            low=20,
            high=100,
            tail=0.9,
            detected=False,
        ),
        Trait(
            "own_copied_words",
            own_copies * texts.words,
            lambda row, value, usual: (
                f"Its writer put almost the same {texts.words[row]} words under {own_copies[row]:.0f} other "
                f"item{'' if own_copies[row] == 1 else 's'}."
            ),
            {COPIED: 6.0},
            low=30,
            high=120,
            tail=0.9,
            detected=False,
        ),
        Trait(
            "stars_against_words",
            gap,
            lambda row, value, usual: (
                f"Its words {'praise' if columns.sentiment[row] > 0.5 else 'condemn'}, its {stars(row)} "
                f"{'do' if columns.stars[row] > 1 else 'does'} not."
            ),
            {CONTRADICTION: 4.9},
            low=0.75,
            high=0.97,
            tail=0.95,
        ),
        Trait(
            "stars_from_the_others",
            distance,
            lambda row, value, usual: (
                f"{stars(row).capitalize()} where {others[row]:.0f} others gave {mean[row]:.1f} on average."
            ),
            weighing(1.0) | {CONTRADICTION: 0.7},
            low=1.5,
            high=3,
        ),
        Trait(
            "never_looked",
            unseen,
            lambda row, value, usual: "Never looked at the item before, nor bought it.",
            weighing(1.5) | {COPIED: 0.5},
            low=0,
            high=1,
        ),
        Trait(
            "seconds_since_first_look",
            dwell,
            lambda row, value, usual: (
                f"Reviewed it {_spell(value)} after first looking at it; usual are {_spell(usual)}."
            ),
            weighing(1.5),
            low=1800,
            high=120,
        ),
        Trait(
            "bought",
            columns.bought,
            lambda row, value, usual: "Bought the item before.",
            {TOGETHER: -2.5, BURST: -2.5, COPIED: -1.0, CONTRADICTION: -0.5},
            low=0,
            high=1,
        ),
        Trait(
            "other_steps",
            columns.steps,
            lambda row, value, usual: (
                f"Its writer did little else here: {value:.0f} other steps; usual are {usual:.0f}."
            ),
            weighing(1.0) | {COPIED: 0.5},
            low=20,
            high=3,
        ),
        Trait(
            "reviews_in_one_go",
            sitting,
            lambda row, value, usual: f"One of {value:.0f} reviews that its writer gave within an hour.",
            weighing(0.7),
            low=1,
            high=4,
            tail=0.9,
        ),
        Trait(
            "extreme",
            extreme,
            lambda row, value, usual: f"{stars(row).capitalize()}: all or nothing.",
            {TOGETHER: 0.3, BURST: 0.3},
            low=0,
            high=1,
            detected=False,
        ),
        Trait("words", texts.words, lambda row, value, usual: f"{value:.0f} words; usual are {usual:.0f}.", {}),
    ]
    judged = judge(columns.ids, traits, options, known)
    kinds = [(PUSH if side[row] > 0 else NUKE) if kind == TOGETHER else kind for row, kind in enumerate(judged.kinds)]
    bad = judged.suspicious.tolist()
    copied = texts.of != NONE
    groups = np.where((groups == NO_GROUP) & copied & (copies > 0), count + texts.of, groups)
    found = judged.found(
        traits,
        targets={row: [columns.items.id(int(columns.item_rows[row]))] for row in bad},
        groups=_of_suspicious(groups, judged.probabilities),
        visitors=columns.visitors.ids(columns.visitor_rows),
        events={row: np.array([row]) for row in bad},
    )
    return replace(found, kinds=kinds)


def _copies(family: Ints, visitors: NDArray[np.int32], words: Ints) -> tuple[Floats, Floats]:
    """By review: how many other visitors wrote almost the same, and how many other reviews of its own writer are so.

    NaN for short texts, which repeat anyway.
    """
    copies, own = np.zeros(len(family)), np.zeros(len(family))
    rows = np.flatnonzero(family != NONE)
    if len(rows):
        width = int(visitors.max()) + 1
        pairs, code, often = np.unique(family[rows] * width + visitors[rows], return_inverse=True, return_counts=True)
        writers = np.bincount(pairs // width)
        copies[rows] = writers[family[rows]] - 1
        own[rows] = often[code] - 1
    short = words < SHORT
    return np.where(short, np.nan, copies), np.where(short, np.nan, own)


def _partners(columns: Words, side: Ints) -> tuple[Floats, Floats, Ints]:
    """By review: with how many others its writer gave the same at several items within days, at how many items with the
    closest of them, and the group of all who did.

    Two visitors who meet at items that few review surprise more than at those that everybody does: the surprise is the
    sum of -log of the items' shares of all reviews, less what their own number of reviews makes likely.
    """
    count, u = len(side), len(columns.visitors)
    partners, shared, groups = np.zeros(count), np.zeros(count), np.full(count, NO_GROUP, dtype=np.int64)
    left, right = _near(columns.item_rows * np.int64(3) + side + 1, columns.times, WINDOW_S)
    left, right = _apart(left, right, columns.visitor_rows)
    if not len(left):
        return partners, shared, groups
    share = np.bincount(columns.item_rows, minlength=len(columns.items)) / count
    one, two = columns.visitor_rows[left].astype(np.int64), columns.visitor_rows[right].astype(np.int64)
    pairs, code, met = np.unique(
        np.minimum(one, two) * u + np.maximum(one, two), return_inverse=True, return_counts=True
    )
    surprise = np.bincount(code, -np.log(share[columns.item_rows[left]]))
    written = np.bincount(columns.visitor_rows, minlength=u)
    chances = written[pairs // u] * written[pairs % u] / met
    strong = (met >= 2) & (surprise - met * np.log(np.maximum(chances, 1)) >= SURPRISE)
    kept = strong[code]
    left, right, code = left[kept], right[kept], code[kept]
    if not len(left):
        return partners, shared, groups
    ends = np.concatenate((left, right))
    partners = np.bincount(ends, minlength=count).astype(np.float64)
    np.maximum.at(shared, ends, np.concatenate((met[code], met[code])).astype(np.float64))
    group = _components(pairs[strong] // u, pairs[strong] % u, u)
    groups[ends] = group[columns.visitor_rows[ends]]
    return partners, shared, groups


def _near(keys: Ints, times: Ints, window_s: int) -> tuple[Ints, Ints]:
    """Pairs of rows of the same key within the window; each row with the NEXT after it at most."""
    order = np.lexsort((times, keys))
    lefts, rights = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for step in range(1, min(NEXT, max(MOST_PAIRS // len(keys), 1), len(keys) - 1) + 1):
        left, right = order[:-step], order[step:]
        near = (keys[left] == keys[right]) & (times[right] - times[left] <= window_s)
        if not near.any():
            break
        lefts.append(left[near])
        rights.append(right[near])
    return np.concatenate(lefts), np.concatenate(rights)


def _apart(left: Ints, right: Ints, visitors: NDArray[np.int32]) -> tuple[Ints, Ints]:
    different = visitors[left] != visitors[right]
    return left[different], right[different]


def _components(left: Ints, right: Ints, count: int) -> Ints:
    """The same number for what pairs hold together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _bursts(columns: Words, side: Ints) -> tuple[Floats, Floats, Floats]:
    """By review: how surprising it is, in nats, that so many gave the item such stars around its moment; how many did;
    and how many do in as long a time otherwise (Poisson; an item's rate is drawn towards that of all items)."""
    start, end = int(columns.times.min()), int(columns.times.max())
    span = end - start + 1
    wide = span + 2 * BURST_S
    key = columns.item_rows * np.int64(3) + side + 1
    keys = key * wide + columns.times - start
    ordered = np.sort(keys)
    around = np.searchsorted(ordered, keys + BURST_S, "right") - np.searchsorted(ordered, keys - BURST_S, "left")
    in_all = np.bincount(key)[key]
    days, window = span / DAY_S, min(2 * BURST_S / DAY_S, span / DAY_S)
    typical = np.bincount(side + 1, minlength=3)[side + 1] / max(len(columns.items), 1) / days  # per item and day
    rate = (in_all - around + 1) / (max(days - window, 0) + 1 / np.maximum(typical, 1e-9))
    expected = np.maximum(rate * window, 0.05)
    surprise = np.where(around > expected, around * np.log(around / expected) - around + expected, 0.0)
    return surprise, around.astype(np.float64), expected


def _others(items: NDArray[np.int32], stars: NDArray[np.float32], n: int) -> tuple[Floats, Ints]:
    """The mean stars that others gave the item, and how many they are."""
    count = np.bincount(items, minlength=n)[items] - 1
    total = np.bincount(items, stars, n)[items] - stars
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), count


def _sittings(visitors: NDArray[np.int32], times: Ints) -> Floats:
    """How many reviews its writer wrote within an hour of it."""
    start = int(times.min())
    wide = int(times.max()) - start + 2 * SITTING_S + 1
    keys = visitors.astype(np.int64) * wide + times - start
    ordered = np.sort(keys)
    last = np.searchsorted(ordered, keys + SITTING_S, "right")
    return (last - np.searchsorted(ordered, keys - SITTING_S, "left")).astype(np.float64)


def _of_suspicious(groups: Ints, probabilities: Floats) -> Ints:
    """Groups of the suspicious alone; others only happen to be near."""
    return np.where(probabilities >= SUSPICIOUS, groups, NO_GROUP)


def _people(count: float) -> str:
    return "1 other" if count == 1 else f"{count:.0f} others"


def _tone(side: int) -> str:
    return {1: "good", -1: "bad"}.get(int(side), "middling")


def _spell(seconds: float) -> str:
    """A length of time in words."""
    for unit, name in ((DAY_S, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"
