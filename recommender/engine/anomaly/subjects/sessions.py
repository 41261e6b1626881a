"""Visits that no person makes: scrapers that walk through the catalogue, pumps that look at the same things for ever.

A session is what one visitor did under one session number, or without a pause of half an hour where there is none. Its
id is "visitor@start", the start in Unix seconds; "visitor@number" where times are not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.found import NO_GROUP, Found
from recommender.engine.anomaly.subjects.judging import Trait, judge
from recommender.engine.data.activity import KINDS, Activity
from recommender.engine.errors import NoData
from recommender.engine.options import Options

PAUSE_S = 1800  # after which a visitor comes again rather than goes on; of one session number, no step of its rhythm
PAID_S = 3600  # after a visit's end, within which a purchase shows that it was a shopper's
WINDOW_S = 14 * 86_400  # looks at the same item that belong together
FEWEST_GAPS = 15  # from which a rhythm can be told
FEWEST_COMPARED = 8  # steps from which a visit can be compared with others
FEWEST_STEPS = 20  # from which shares of them mean something
RETURNS = 5.0  # visits to the same item within a window, from which they are many
LION_SHARE = 0.5  # of all looks at an item, from which those who come often make its fame
CROWD = 3  # visitors who come again and again to the same item, from which they act together
SCRAPER, PUMP = "scraper", "pump"
IMPRESSION, VIEW, CLICK = (KINDS.index(name) for name in ("impression", "view", "click"))
PURCHASE = KINDS.index("purchase")
MOST_TARGETS = 5

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Visits:
    """E events laid out by session: S sessions, one after another."""

    places: Ints
    """(E,): where each event is in the columns that were given."""
    starts: Ints
    """(S,): each session's first event here."""
    of: Ints
    """(E,): each event's session."""
    timed: bool

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def counts(self) -> Ints:
        return np.diff(np.append(self.starts, len(self.places)))

    def total(self, values: NDArray[Any]) -> Floats:
        """(S,): the sum of each session's."""
        return np.bincount(self.of, values, len(self)).astype(np.float64)


def find(columns: Activity, options: Options, known: Mapping[str, NDArray[Any]] | None = None) -> Found:
    """Judge every session by its rhythm, its breadth, and how often its visitor comes back for the same items.

    Impressions are left aside: pages record them, not shoppers. Without times only breadth and repetition speak.
    Raises NoData, and what `judge` raises.
    """
    visits = cut(columns)
    options.progress(0.1, "measuring visits")
    visitors, items = columns.visitor_rows[visits.places], columns.item_rows[visits.places]
    times, kinds = columns.times[visits.places], columns.kinds[visits.places]
    counts = visits.counts
    who = visitors[visits.starts].astype(np.int64)
    last = times[visits.starts + counts - 1]
    seconds = (last - times[visits.starts]).astype(np.float64)
    steadiness, pace_s = _rhythm(visits, times)
    looked = (kinds == VIEW) | (kinds == CLICK)
    views = visits.total(looked)
    pairs, pair_views = _pairs(visits, items, looked, len(columns.items))
    distinct = np.bincount(pairs // len(columns.items), minlength=len(visits)).astype(np.float64)
    returns, crowd, favourite = _returns(visits, pairs, pair_views, who, times, len(columns.items))
    bought = _bought(who, times[visits.starts], last, visitors[kinds == PURCHASE], times[kinds == PURCHASE])
    acted = 1 - views / np.maximum(counts, 1)
    steps, coherence = _walk(visits, items, columns.item_vectors)
    long = counts >= FEWEST_STEPS
    hours = _hours(who, times[visits.starts], times, visitors) if visits.timed else np.full(len(visits), np.nan)
    pumping = np.where(bought > 0, 0, returns)
    traits = [
        Trait(
            "gap_variation",
            steadiness,
            lambda row, value, usual: (
                f"Its {counts[row]} steps come at an even beat: their gaps vary by {value:.0%}"
                f"{f', those of a usual visit by {usual:.0%}' if usual == usual else ''}."
            ),
            {SCRAPER: 4.0},
            low=0.5,
            high=0.2,
        ),
        Trait(
            "median_gap_s",
            np.where(long, pace_s, np.nan),
            lambda row, value, usual: (
                f"Half of its {counts[row]} steps follow within {value:.0f} seconds{_beside(usual, 's')}."
            ),
            {SCRAPER: 2.0},
            low=20,
            high=5,
        ),
        Trait(
            "items",
            distinct,
            lambda row, value, usual: (
                f"Looked at {value:.0f} different items in {_spell(seconds[row])}; a usual visit sees {usual:.0f}."
            ),
            {SCRAPER: 4.5},
            low=25,
            high=80,
            tail=0.99,
        ),
        Trait(
            "items_per_view",
            np.where(long & (views > 0), distinct / np.maximum(views, 1), np.nan),
            lambda row, value, usual: f"Hardly ever looked at anything twice: {value:.0%} of its looks were new items.",
            {SCRAPER: 0.7},
            low=0.8,
            high=1.0,
        ),
        Trait(
            "other_than_looking",
            np.where(long, acted, np.nan),
            lambda row, value, usual: (
                "Only looked: nothing liked, put into the cart or bought."
                if value == 0
                else f"Little but looking: {value:.0%} of its steps were anything else{_beside(100 * usual, ' %')}."
            ),
            {SCRAPER: 1.0},
            low=0.1,
            high=0.0,
        ),
        Trait(
            "acts",
            acted,
            lambda row, value, usual: f"{value:.0%} of its steps were likes, carts and other acts.",
            {SCRAPER: -2.0},
            low=0.1,
            high=0.4,
            detected=False,
        ),
        Trait(
            "bought",
            bought,
            lambda row, value, usual: f"Bought {value:.0f} items.",
            {SCRAPER: -4.0, PUMP: -4.0},
            low=0,
            high=1,
            detected=False,
        ),
        Trait(
            "catalogue_steps",
            np.where(long, steps, np.nan),
            lambda row, value, usual: f"{value:.0%} of its steps led to the very next item of the catalogue.",
            {SCRAPER: 4.0},
            low=0.2,
            high=0.7,
        ),
        Trait(
            "likeness_of_steps",
            np.where(long, coherence, np.nan),
            lambda row, value, usual: (
                f"One item has little to do with the next: a likeness of {value:.2f}, in usual visits {usual:.2f}."
            ),
            {},
        ),
        Trait(
            "hours_of_day",
            hours,
            lambda row, value, usual: f"Its visitor was here in {value:.0f} hours of one day; usual are {usual:.0f}.",
            {SCRAPER: 4.0},
            low=10,
            high=20,
            detected=False,
        ),
        Trait(
            "visits_to_same_items",
            pumping,
            lambda row, value, usual: (
                f"Came to the same items in {value:.0f} visits within two weeks and bought none; usual are {usual:.0f}."
            ),
            {PUMP: 4.5},
            low=4,
            high=12,
            detected=False,
        ),
        Trait(
            "others_pumping",
            np.where(pumping >= RETURNS / 2, crowd, 0),
            lambda row, value, usual: f"{value:.0f} other visitors keep coming to the same items, too.",
            {PUMP: 4.0},
            low=0,
            high=CROWD,
            detected=False,
        ),
        Trait(
            "looks_per_item",
            views / np.maximum(distinct, 1),
            lambda row, value, usual: f"Looked at each item {value:.1f} times; usual are {usual:.1f}.",
            {PUMP: 4.0},
            low=3,
            high=12,
            detected=False,
        ),
        Trait(
            "few_items",
            np.where(distinct > 0, distinct, np.nan),
            lambda row, value, usual: f"Saw only {value:.0f} items.",
            {PUMP: -3.0},
            low=4,
            high=12,
            detected=False,
        ),
    ]
    ids = _ids(columns, visits, who, times)
    judged = judge(ids, traits, options, known, where=counts >= FEWEST_COMPARED)
    bad = judged.suspicious
    ends = visits.starts + counts
    pumps = [row for row in bad.tolist() if judged.kinds[row] == PUMP]
    targets = {row: columns.items.ids(_most(items[visits.starts[row] : ends[row]], MOST_TARGETS)) for row in pumps}
    return judged.found(
        traits,
        targets=targets,
        groups=_gangs(np.array(pumps, dtype=np.int64), who, favourite, len(columns.items)),
        visitors=_visitor_ids(columns, who),
        events={row: np.sort(visits.places[visits.starts[row] : ends[row]]) for row in bad.tolist()},
    )


def cut(columns: Activity) -> Visits:
    """Events laid out by visitor and session, impressions left out. Raises NoData."""
    places = np.flatnonzero(columns.kinds != IMPRESSION)
    if not len(places):
        raise NoData("Nobody has done anything yet.")
    timed = bool(columns.times[places].min() < columns.times[places].max())
    named = np.maximum(columns.sessions, -1)[places]
    places = places[np.lexsort((columns.times[places], named, columns.visitor_rows[places]))]
    visitors, sessions = columns.visitor_rows[places], np.maximum(columns.sessions, -1)[places]
    paused = (np.diff(columns.times[places]) > PAUSE_S) & (sessions[1:] < 0)
    new = np.append(True, paused | (np.diff(sessions) != 0) | (np.diff(visitors) != 0))
    return Visits(places, np.flatnonzero(new), np.cumsum(new) - 1, timed)


def _rhythm(visits: Visits, times: Ints) -> tuple[Floats, Floats]:
    """Each session's coefficient of variation of the gaps between steps, and their median in seconds; NaN for few."""
    if not visits.timed:
        return np.full(len(visits), np.nan), np.full(len(visits), np.nan)
    inner = np.diff(visits.of) == 0
    of, gaps_s = visits.of[1:][inner], np.diff(times)[inner].astype(np.float64)
    moved = (gaps_s > 0) & (gaps_s <= PAUSE_S)  # what one click records together is one step
    of, gaps_s = of[moved], gaps_s[moved]
    count = np.bincount(of, minlength=len(visits))
    mean = np.bincount(of, gaps_s, len(visits)) / np.maximum(count, 1)
    spread = np.bincount(of, (gaps_s - mean[of]) ** 2, len(visits)) / np.maximum(count, 1)
    few = count < FEWEST_GAPS
    variation = np.where(few, np.nan, np.sqrt(spread) / np.maximum(mean, 1e-9))
    ordered = gaps_s[np.lexsort((gaps_s, of))]
    middle = np.minimum(np.cumsum(count) - count + count // 2, max(len(ordered) - 1, 0))
    return variation, np.where(few, np.nan, ordered[middle] if len(ordered) else np.nan)


def _pairs(visits: Visits, items: NDArray[Any], looked: NDArray[np.bool_], n: int) -> tuple[Ints, Ints]:
    """Distinct (session, item) of looks as session * N + item, in order, and how many looks each has."""
    pairs, counts = np.unique(visits.of[looked] * n + items[looked], return_counts=True)
    return pairs, counts


def _returns(
    visits: Visits, pairs: Ints, pair_views: Ints, who: Ints, times: Ints, n: int
) -> tuple[Floats, Floats, Ints]:
    """By session: in how many visits within a window its visitor looked at its items, the mean over its looks; how many
    others come as often for its favourite; and that favourite's row, -1 where it has none."""
    count = len(visits)
    crowd, favourite = np.zeros(count), np.full(count, -1, dtype=np.int64)
    if not len(pairs):
        return np.zeros(count), crowd, favourite
    session, item = pairs // n, pairs % n
    at = times[visits.starts][session]
    at = at - at.min()
    same, code = np.unique(who[session] * n + item, return_inverse=True)
    span = int(at.max()) + 2 * WINDOW_S + 1
    keys = code * span + at
    ordered = np.sort(keys)
    often = np.searchsorted(ordered, keys + WINDOW_S, "right") - np.searchsorted(ordered, keys - WINDOW_S, "left")
    mean = np.bincount(session, often * pair_views, count) / np.maximum(np.bincount(session, pair_views, count), 1)
    most = np.zeros(len(same), dtype=np.int64)
    np.maximum.at(most, code, often)
    eager = np.bincount(same[most >= RETURNS] % n, minlength=n)
    best = np.lexsort((-often, session))
    best = best[np.append(True, np.diff(session[best]) != 0)]
    favourite[session[best]] = item[best]
    crowd[session[best]] = np.maximum(eager[item[best]] - (most[code[best]] >= RETURNS), 0)
    # Where others look at it as well, those who come often are its friends; where hardly anybody does, they are a gang.
    looks = _around(item * span + at, pair_views)[best]
    by_eager = _around(item * span + at, pair_views * (most[code] >= RETURNS))[best]
    crowd[session[best[by_eager < LION_SHARE * looks]]] = 0
    return mean, crowd, favourite


def _around(keys: Ints, counts: Ints) -> Ints:
    """(P,): the counts of all rows within a window of each row's key."""
    order = np.argsort(keys, kind="stable")
    sums = np.append(0, np.cumsum(counts[order]))
    ordered = keys[order]
    until = np.searchsorted(ordered, keys + WINDOW_S, "right")
    around: Ints = sums[until] - sums[np.searchsorted(ordered, keys - WINDOW_S, "left")]
    return around


def _walk(visits: Visits, items: NDArray[Any], vectors: NDArray[np.float32] | None) -> tuple[Floats, Floats]:
    """By session: the share of steps to a neighbouring id, and the mean cosine of items in a row; NaN for none."""
    inner = (np.diff(visits.of) == 0) & (np.diff(items) != 0)
    of = visits.of[1:][inner]
    before, after = items[:-1][inner], items[1:][inner]
    count = np.bincount(of, minlength=len(visits)).astype(np.float64)
    count[count == 0] = np.nan
    steps = np.bincount(of, np.abs(after - before) == 1, len(visits)) / count
    if vectors is None:
        return steps, np.full(len(visits), np.nan)
    cosine = np.concatenate(
        [
            np.einsum("ed,ed->e", vectors[before[low : low + 100_000]], vectors[after[low : low + 100_000]])
            for low in range(0, len(of), 100_000)
        ]
        or [np.zeros(0)]
    )
    return steps, np.bincount(of, cosine, len(visits)) / count


def _bought(who: Ints, starts: Ints, ends: Ints, buyers: NDArray[Any], at: Ints) -> Floats:
    """By session: purchases by its visitor from its start until an hour after its end."""
    first = starts.min()
    span = int(ends.max() - first) + 2 * PAID_S + 1
    keys = np.sort(buyers.astype(np.int64) * span + at - first)
    until = np.searchsorted(keys, who * span + ends - first + PAID_S, "right")
    return (until - np.searchsorted(keys, who * span + starts - first, "left")).astype(np.float64)


def _hours(who: Ints, starts: Ints, times: Ints, visitors: NDArray[Any]) -> Floats:
    """By session: in how many different hours of its first day its visitor did something."""
    first = times.min()
    days = int((times.max() - first) // 86_400) + 1
    slots = np.unique((visitors * np.int64(days) + (times - first) // 86_400) * 24 + (times - first) // 3600 % 24)
    day, hours = np.unique(slots // 24, return_counts=True)
    return hours[np.searchsorted(day, who * days + (starts - first) // 86_400)].astype(np.float64)


def _gangs(pumps: Ints, who: Ints, favourite: Ints, n: int) -> Ints:
    """The same number for pumps whose visitors look at the same things, or have looked at them in other visits."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    groups = np.full(len(who), NO_GROUP, dtype=np.int64)
    pumps = pumps[favourite[pumps] >= 0]
    if len(pumps):
        size = n + int(who.max()) + 1
        ends = (favourite[pumps], n + who[pumps])
        graph = coo_array((np.ones(len(pumps), dtype=np.int8), ends), shape=(size, size))
        groups[pumps] = connected_components(graph, directed=False)[1][ends[1]]
    return groups


def _most(items: NDArray[Any], count: int) -> NDArray[Any]:
    """The commonest, most first."""
    distinct, often = np.unique(items, return_counts=True)
    return distinct[np.argsort(-often, kind="stable")[:count]]


def _visitor_ids(columns: Activity, who: Ints) -> list[str]:
    names = np.array(columns.visitors.all, dtype=object)
    return list(names[who])


def _ids(columns: Activity, visits: Visits, who: Ints, times: Ints) -> list[str]:
    marks = times[visits.starts] if visits.timed else columns.sessions[visits.places[visits.starts]]
    names = _visitor_ids(columns, who)
    return [f"{name}@{mark}" for name, mark in zip(names, marks.tolist(), strict=True)]


def _beside(usual: float, unit: str) -> str:
    return f" (usual: {usual:.0f}{unit})" if usual == usual else ""


def _spell(seconds: float) -> str:
    """A length of time in words."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
