"""Orders that no honest shopper places: shared cards and addresses, card tests, bulk, stolen accounts, haste."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.found import NO_GROUP, Found
from recommender.engine.anomaly.subjects.judging import Trait, judge
from recommender.engine.data.ids import Ids
from recommender.engine.errors import NoData
from recommender.engine.options import Options

DAY_S = 86_400
WEEK_S = 7 * DAY_S
HOUR_S = 3600
HABIT = 3  # other orders of a shopper, from which there is a habit
LEAST_SPREAD = 0.4  # of the logarithm of a shopper's amounts: a habit of equal sums still allows for half as much again
REUSED_CARD, CARD_TEST, REUSED_ADDRESS = "reused-card", "card-testing", "reused-address"
BULK, UNLIKE, FAST = "bulk", "unlike-the-shopper", "fast"
MOST_TARGETS = 5
NEW = {"address": 1.2, "card": 1.5, "email": 1.0}
SAID = {"address": "to this address", "card": "with this card", "email": "under this e-mail address"}

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Orders:
    """R orders of U visitors, in order of time, with L lines. Texts are numbers, the same for the same, -1 for none."""

    ids: Sequence[str]
    visitors: Ids
    visitor_rows: NDArray[np.int32]
    times: Ints
    """(R,): Unix seconds; all equal where times are not known."""
    totals: NDArray[np.float32]
    """(R,): in the shop's currency."""
    emails: Ints
    addresses: Ints
    cards: Ints
    """(R,): what the payment provider calls the card."""
    clients: Ints
    """(R,): network addresses."""
    names: Ints
    items: Ids
    line_orders: Ints
    """(L,): each line's order."""
    line_items: NDArray[np.int32]
    quantities: Ints
    """(L,): pieces."""
    carted_s: Floats
    """(R,): seconds since the visitor last put something into the cart; NaN where that is not known."""
    known_s: Floats
    """(R,): seconds since the visitor was first seen; NaN where that is not known."""
    item_vectors: NDArray[np.float32] | None = None
    """(N, D): rows of length 1 or 0; None where nothing was learned yet."""


def find(columns: Orders, options: Options, known: Mapping[str, NDArray[Any]] | None = None) -> Found:
    """Judge every order by its size, its haste, what it shares with others, and its distance from its shopper's habit.

    What is missing (times, cards, addresses, vectors) says nothing, and a total that is no number counts as 0; the rest
    is judged. Raises NoData, and what `judge` raises.
    """
    count = len(columns.ids)
    if not count:
        raise NoData("Nobody has ordered yet.")
    totals = np.maximum(np.nan_to_num(columns.totals.astype(np.float64), posinf=0.0), 0)
    timed = bool(columns.times.min() < columns.times.max())
    nothing = np.full(count, np.nan)
    who = columns.visitor_rows.astype(np.int64)
    person = _person(columns)
    pieces = np.bincount(columns.line_orders, columns.quantities, count)
    amount, units = np.log1p(totals), np.log1p(pieces)
    own_amount, other_orders = _own(who, amount)
    own_units, _ = _own(who, units)
    usual_total = _mean_of_others(who, totals)
    at_once, since_s = _pace(who, columns.times) if timed else (nothing, nothing)
    card_people = _people(columns.cards, person)
    cards_of = _cards_in_a_week(who, columns.cards, columns.times)
    address_people = _people(columns.addresses, person)
    day = (columns.times - columns.times.min()) // DAY_S
    from_client = np.where(columns.clients < 0, -1, columns.clients * (int(day.max()) + 1) + day)
    client_people = _people(from_client, person) if timed else nothing
    unlike = _unlike(columns, who)
    half_total, half_pieces = float(np.median(totals)), float(np.median(pieces))
    traits = [
        Trait(
            "people_with_this_card",
            card_people,
            lambda row, value, usual: f"{value:.0f} different people paid with this card{_beside(usual)}.",
            {REUSED_CARD: 7.0},
            low=1.5,
            high=4,
            detected=False,
        ),
        Trait(
            "cards_within_a_week",
            cards_of,
            lambda row, value, usual: (
                f"Its shopper paid with {value:.0f} different cards within a week{_beside(usual)}."
            ),
            {CARD_TEST: 7.0},
            low=2,
            high=5,
            detected=False,
        ),
        Trait(
            "people_at_this_address",
            address_people,
            lambda row, value, usual: f"{value:.0f} different people had orders sent to this address{_beside(usual)}.",
            {REUSED_ADDRESS: 6.0, REUSED_CARD: 1.5},
            low=3,
            high=10,
            tail=0.95,
            detected=False,
        ),
        Trait(
            "people_from_this_client",
            client_people,
            lambda row, value, usual: (
                f"{value:.0f} different people ordered from one network address that day{_beside(usual)}."
            ),
            {REUSED_ADDRESS: 2.5, REUSED_CARD: 1.5, CARD_TEST: 1.0, FAST: 2.0},
            low=3,
            high=12,
            detected=False,
        ),
        Trait(
            "amount_beside_the_shops",
            _away(amount),
            lambda row, value, usual: (
                f"It comes to {totals[row]:,.2f}; half of all orders stay below {half_total:,.2f}."
            ),
            {BULK: 2.0, REUSED_CARD: 0.5},
            low=3,
            high=6,
            tail=0.98,
        ),
        Trait(
            "pieces_beside_the_shops",
            _away(units),
            lambda row, value, usual: (
                f"It is for {pieces[row]:,.0f} pieces; half of all orders are for {half_pieces:,.0f} or fewer."
            ),
            {BULK: 3.5},
            low=3,
            high=6,
            tail=0.98,
        ),
        Trait(
            "amount_beside_its_shoppers",
            own_amount,
            lambda row, value, usual: (
                f"It comes to {totals[row]:,.2f}; its shopper's {other_orders[row]:.0f} other orders come to "
                f"{usual_total[row]:,.2f} on average."
            ),
            {UNLIKE: 3.0, BULK: 1.5},
            low=3,
            high=6,
            tail=0.98,
        ),
        Trait(
            "pieces_beside_its_shoppers",
            own_units,
            lambda row, value, usual: f"For its shopper, {pieces[row]:,.0f} pieces are many.",
            {BULK: 1.5, UNLIKE: 0.5},
            low=3,
            high=6,
            tail=0.98,
        ),
        Trait(
            "distance_from_taste",
            _from_taste(columns, who),
            lambda row, value, usual: (
                f"Its items are far from what its shopper buys otherwise: {value:.2f}, usual are {usual:.2f}."
            ),
            {UNLIKE: 2.0},
            low=0.8,
            high=1.1,
            tail=0.97,
        ),
        *(
            Trait(
                f"new_{name}",
                values,
                lambda row, value, usual, name=name: f"The first order of this shopper {SAID[name]}.",  # type: ignore[misc]
                {UNLIKE: most},
                low=0,
                high=1,
                detected=False,
            )
            for (name, most), values in zip(NEW.items(), unlike, strict=True)
        ),
        Trait(
            "orders_within_an_hour",
            at_once,
            lambda row, value, usual: f"One of {value:.0f} orders by its shopper within an hour{_beside(usual)}.",
            {FAST: 6.0, CARD_TEST: 2.0},
            low=5,
            high=12,
        ),
        Trait(
            "seconds_since_order_before",
            since_s,
            lambda row, value, usual: f"Placed {value:.0f} seconds after the one before.",
            {FAST: 1.5, CARD_TEST: 1.0},
            low=120,
            high=10,
        ),
        Trait(
            "seconds_known",
            columns.known_s,
            lambda row, value, usual: f"Its shopper had been known for {value:.0f} seconds when it was placed.",
            {FAST: 1.0, BULK: 1.0, REUSED_CARD: 0.5, REUSED_ADDRESS: 0.5, CARD_TEST: 0.5},
            low=300,
            high=30,
        ),
        Trait(
            "seconds_since_cart",
            columns.carted_s,
            lambda row, value, usual: f"Paid {value:.0f} seconds after the last item came into the cart.",
            {FAST: 2.0, CARD_TEST: 0.5},
            low=10,
            high=2,
        ),
        Trait(
            "rare_hour",
            _rare_hour(columns.times) if timed else nothing,
            lambda row, value, usual: "Placed at an hour of the day when next to nobody orders here.",
            {UNLIKE: 0.4, CARD_TEST: 0.4, FAST: 0.4, REUSED_CARD: 0.3},
            low=1.5,
            high=3.5,
        ),
    ]
    judged = judge(columns.ids, traits, options, known)
    bad = judged.suspicious
    shared = {REUSED_CARD: columns.cards, REUSED_ADDRESS: columns.addresses, CARD_TEST: who}
    return judged.found(
        traits,
        targets=_targets(columns, bad),
        groups=_groups(judged.kinds, bad, shared),
        visitors=columns.visitors.ids(columns.visitor_rows),
        events={row: np.array([row]) for row in bad.tolist()},
    )


def _person(columns: Orders) -> Ints:
    """Who is behind each order: guests come under a new visitor each time, so the e-mail address counts where given."""
    return np.where(columns.emails >= 0, columns.emails + len(columns.visitors), columns.visitor_rows).astype(np.int64)


def _people(keys: Ints, person: Ints) -> Floats:
    """How many different people share each order's key; NaN where it has none."""
    there = np.flatnonzero(keys >= 0)
    counts = np.full(len(keys), np.nan)
    if len(there):
        width = int(person.max()) + 1
        pairs = np.unique(keys[there] * width + person[there])
        shared, people = np.unique(pairs // width, return_counts=True)
        counts[there] = people[np.searchsorted(shared, keys[there])]
    return counts


def _cards_in_a_week(who: Ints, cards: Ints, times: Ints) -> Floats:
    """How many cards each order's shopper used in the same week; weeks overlap by half, and the fuller one counts."""
    counts = np.full(len(cards), np.nan)
    there = np.flatnonzero(cards >= 0)
    if not len(there):
        return counts
    counts[there] = 1
    for shift in (0, WEEK_S // 2):
        week = (times - times.min() + shift) // WEEK_S
        keys = who * (int(week.max()) + 1) + week
        counts[there] = np.maximum(counts[there], _people(keys[there], cards[there]))
    return counts


def _own(who: Ints, values: Floats) -> tuple[Floats, Ints]:
    """How far each order is above its shopper's other ones, in their standard deviations; NaN without a habit; and how
    many those are."""
    n = np.bincount(who)[who] - 1
    total = np.bincount(who, values)[who] - values
    squares = np.bincount(who, values**2)[who] - values**2
    mean = total / np.maximum(n, 1)
    spread = np.sqrt(np.maximum(squares / np.maximum(n, 1) - mean**2, 0))
    return np.where(n >= HABIT, (values - mean) / np.maximum(spread, LEAST_SPREAD), np.nan), n


def _mean_of_others(who: Ints, totals: Floats) -> Floats:
    """The mean of the shopper's other orders."""
    n = np.bincount(who)[who] - 1
    return (np.bincount(who, totals)[who] - totals) / np.maximum(n, 1)


def _away(values: Floats) -> Floats:
    """How far each is above the median, in robust standard deviations."""
    median = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - median)))
    away: Floats = (values - median) / max(spread, LEAST_SPREAD)
    return away


def _pace(who: Ints, times: Ints) -> tuple[Floats, Floats]:
    """By order: orders of its shopper within an hour of it, and seconds since the one before; NaN for the first."""
    start = int(times.min())
    wide = int(times.max()) - start + 2 * HOUR_S + 1
    keys = who * wide + times - start
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    near = np.searchsorted(ordered, keys + HOUR_S, "right") - np.searchsorted(ordered, keys - HOUR_S, "left")
    since = np.full(len(who), np.nan)
    same = np.diff(who[order]) == 0
    since[order[1:][same]] = np.diff(times[order])[same]
    return near.astype(np.float64), since


def _unlike(columns: Orders, who: Ints) -> list[Floats]:
    """By order, whether its address, card, e-mail is its shopper's first such after others; NaN where none is given, or
    too few orders came before."""
    order = np.lexsort((np.arange(len(who)), columns.times, who))
    firsts = np.flatnonzero(np.append(True, np.diff(who[order]) != 0))
    before = np.empty(len(who), dtype=np.int64)
    before[order] = np.arange(len(who)) - np.repeat(firsts, np.diff(np.append(firsts, len(who))))
    found = []
    for codes in (columns.addresses, columns.cards, columns.emails):
        keys = who[order] * (int(codes.max(initial=0)) + 2) + codes[order] + 1
        first = np.zeros(len(who))
        first[order[np.unique(keys, return_index=True)[1]]] = 1
        found.append(np.where((codes < 0) | (before < HABIT), np.nan, first))
    return found


def _from_taste(columns: Orders, who: Ints) -> Floats:
    """1 - cosine of the order's mean item vector and that of its shopper's other orders; NaN where one is unknown."""
    vectors, count = columns.item_vectors, len(columns.ids)
    if vectors is None or not len(columns.line_orders):
        return np.full(count, np.nan)
    users = len(columns.visitors)
    own, norm, other = np.zeros(count), np.zeros(count), np.zeros(count)
    for column in range(vectors.shape[1]):  # one dimension at a time, to bound memory
        mine = np.bincount(columns.line_orders, vectors[columns.line_items, column], count)
        rest = np.bincount(who, mine, users)[who] - mine
        own += mine * rest
        norm += mine**2
        other += rest**2
    theirs = np.sqrt(norm * other)
    n = np.bincount(who, minlength=users)[who] - 1
    distance = 1 - own / np.maximum(theirs, 1e-12)
    return np.where((n >= HABIT) & (theirs > 1e-6), distance, np.nan)


def _rare_hour(times: Ints) -> Floats:
    """How much rarer orders are at its hour of the day than if all hours were alike, in nats."""
    hour = times // HOUR_S % 24
    share = (np.bincount(hour, minlength=24) + 1) / (len(times) + 24)
    return -np.log(24 * share[hour])


def _targets(columns: Orders, bad: Ints) -> dict[int, list[str]]:
    """The items of each, most pieces first."""
    wanted = np.isin(columns.line_orders, bad)
    orders, items, pieces = columns.line_orders[wanted], columns.line_items[wanted], columns.quantities[wanted]
    by_size = np.lexsort((-pieces, orders))
    orders, items = orders[by_size], items[by_size]
    starts = np.searchsorted(orders, bad)
    ends = np.minimum(np.searchsorted(orders, bad, "right"), starts + MOST_TARGETS)
    return {
        row: columns.items.ids(items[low:high])
        for row, low, high in zip(bad.tolist(), starts.tolist(), ends.tolist(), strict=True)
    }


def _groups(kinds: Sequence[str], bad: Ints, shared: Mapping[str, Ints]) -> Ints:
    """The same number for suspicious orders of one card, one address, one tester of cards."""
    groups = np.full(len(kinds), NO_GROUP, dtype=np.int64)
    named = np.array(kinds, dtype=object)[bad]
    for place, (kind, codes) in enumerate(shared.items()):
        rows = bad[(named == kind) & (codes[bad] >= 0)]
        groups[rows] = codes[rows] * len(shared) + place
    return groups


def _beside(usual: float) -> str:
    return f"; usual is {usual:.0f}" if usual == usual else ""
