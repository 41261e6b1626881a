"""Decoys: made-up gangs that are mixed in among the real visitors, so that it is known what fake ones look like here.

Nobody tells a shop which of its visitors are fake. So groups of invented ones, of every sort that pays for an attacker,
join the columns for as long as these are judged; what tells them from real visitors here is learned, and real visitors
are judged by it. How many items a decoy takes, which, what it says of them, in how many days, and how many act
together is drawn anew for each gang, far and wide, so that no one recipe is learned.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.subjects.profile_cells import DISLIKE, IMPRESSION, LIKE, PURCHASE
from recommender.engine.data.activity import KINDS, RATING, Activity

SHARE = 0.5  # of the visitors with events
FEWEST, MOST = 600, 3000  # decoys
GANG = (4, 16)  # members of every other gang, from and to
CAMPAIGN = 0.06  # of the visitors: most members of the others
DAY_S = 86_400
WINDOWS_DAYS = (1.5, 5.0, 14.0, 60.0)
USED = 0.01  # share of the deeds from which on a kind of event counts as usual
PUSHES, SINKS = 0, 1
VIEW, CART = KINDS.index("view"), KINDS.index("cart")


@dataclass(frozen=True)
class Decoys:
    """Columns (A,) of G gangs' events; visitors count from 0."""

    visitor_rows: NDArray[np.int64]
    item_rows: NDArray[np.int64]
    kinds: NDArray[np.int8]
    values: NDArray[np.float32]
    times: NDArray[np.int64]
    gangs: NDArray[np.int64]
    """(P,): each decoy's gang."""
    targets: tuple[tuple[int, NDArray[np.int64]], ...]
    """Each gang's intent, PUSHES or SINKS, and item rows."""


@dataclass(frozen=True)
class Model:
    """The shop as decoys imitate it."""

    activity: Activity
    deeds: NDArray[np.int64]
    """Places of events that are no impressions, by visitor, then time."""
    starts: NDArray[np.int64]
    """(U+1,): where each visitor's deeds begin."""
    by_item: NDArray[np.int64]
    """Places of deeds by item."""
    item_starts: NDArray[np.int64]
    fame: NDArray[np.int64]
    real: NDArray[np.int64]
    """Visitors with deeds."""
    stars: tuple[float, float] | None
    item_stars: NDArray[np.float64]
    praise: tuple[int, ...]
    blame: tuple[int, ...]


def plant(activity: Activity, random: np.random.Generator) -> Decoys:
    model = _model(activity)
    count = int(np.clip(SHARE * len(model.real), FEWEST, MOST))
    parts: list[tuple[NDArray[np.float64], ...]] = []
    gangs: list[NDArray[np.int64]] = []
    targets: list[tuple[int, NDArray[np.int64]]] = []
    made = 0
    while made < count:
        most = GANG[1] if len(targets) % 2 else max(GANG[1], int(CAMPAIGN * len(model.real)))
        size = int(np.exp(random.uniform(np.log(GANG[0]), np.log(most + 1))))
        intent, aims, columns = _gang(model, size, random)
        columns = (columns[0] + made, *columns[1:])
        parts.append(columns)
        gangs.append(np.full(size, len(targets)))
        targets.append((intent, aims))
        made += size
    visitors, items, kinds, values, times = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Decoys(
        visitors.astype(np.int64),
        items.astype(np.int64),
        kinds.astype(np.int8),
        values.astype(np.float32),
        times.astype(np.int64),
        np.concatenate(gangs),
        tuple(targets),
    )


def _model(activity: Activity) -> Model:
    chosen = np.flatnonzero(activity.kinds != IMPRESSION)
    deeds = chosen[np.argsort(activity.visitor_rows[chosen], kind="stable")]
    by_item = chosen[np.argsort(activity.item_rows[chosen], kind="stable")]
    starts = np.searchsorted(activity.visitor_rows[deeds], np.arange(len(activity.visitors) + 1))
    item_starts = np.searchsorted(activity.item_rows[by_item], np.arange(len(activity.items) + 1))
    rated = chosen[(activity.kinds[chosen] == RATING) & np.isfinite(activity.values[chosen])]
    usual = np.bincount(activity.kinds[chosen], minlength=len(KINDS)) >= max(USED * len(chosen), 1)
    has_stars = bool(len(rated)) and bool(usual[RATING])
    stars, item_stars = None, np.zeros(len(activity.items))
    if has_stars:
        values = activity.values[rated].astype(np.float64)
        stars = (float(values.mean()), float(max(values.std(), 0.3)))
        own = np.bincount(activity.item_rows[rated], minlength=len(activity.items)) + 3
        item_stars = (np.bincount(activity.item_rows[rated], values, len(activity.items)) + 3 * stars[0]) / own
    loud = next((kind for kind in (LIKE, PURCHASE, CART) if usual[kind]), None)
    praise = tuple(kind for kind in (RATING if has_stars else None, loud) if kind is not None) or (
        int(np.argmax(np.bincount(activity.kinds[chosen]))),
    )
    blame = (RATING,) if has_stars else (DISLIKE,) if usual[DISLIKE] else ()
    return Model(
        activity,
        deeds,
        starts,
        by_item,
        item_starts,
        np.diff(item_starts),
        np.flatnonzero(np.diff(starts)),
        stars,
        item_stars,
        praise,
        blame,
    )


def _gang(
    model: Model, size: int, random: np.random.Generator
) -> tuple[int, NDArray[np.int64], tuple[NDArray[np.float64], ...]]:
    intent = SINKS if model.blame and random.random() < 0.4 else PUSHES
    known = np.flatnonzero(model.fame)
    weight = model.fame[known] ** random.choice([0.0, 0.0, 0.5, 1.0])
    aims = random.choice(
        known, min(int(random.choice([1, 1, 2, 3])), len(known)), replace=False, p=weight / weight.sum()
    )
    members = np.arange(size)
    lengths = _lengths(model, size, random)
    copied = random.random() < 0.4
    owner, places = (_copied if copied else _drawn)(model, lengths, random)
    items = model.activity.item_rows[places].astype(np.int64)
    kinds, values = model.activity.kinds[places].copy(), model.activity.values[places].copy()
    keep = ~np.isin(items, aims)
    owner, items, kinds, values = owner[keep], items[keep], kinds[keep], values[keep]
    if model.stars is not None and not copied:
        values = _opinions(model, intent, items, kinds, values, random)
    columns: list[list[NDArray[Any]]] = [[owner], [items], [kinds], [values]]

    def say(what: NDArray[np.int64], good: bool, share: float) -> None:
        kind = int(random.choice(model.praise if good or not model.blame else model.blame))
        who, which = (grid.ravel() for grid in np.meshgrid(members, what, indexing="ij"))
        heard = random.random(len(who)) < share
        who, which = who[heard], which[heard]
        columns[0].append(who)
        columns[1].append(which)
        columns[2].append(np.full(len(who), kind, np.int8))
        star = np.nan if kind != RATING else 5.0 if good else 1.0
        if kind not in (RATING, LIKE, DISLIKE):
            pool = model.activity.values[model.deeds[model.activity.kinds[model.deeds] == kind]]
            columns[3].append(random.choice(pool, len(who)).astype(np.float32))
        else:
            columns[3].append(np.full(len(who), star, np.float32))

    say(aims, intent == PUSHES, random.choice([1.0, 1.0, 0.8]))
    if random.random() < 0.35:
        famous = known[np.argsort(-model.fame[known])][: max(len(known) // int(random.choice([3, 20, 100])), 12)]
        picked = random.choice(famous, min(int(random.integers(3, 13)), len(famous)), replace=False)
        say(np.setdiff1d(picked, aims), bool(random.random() < 0.7), random.choice([1.0, 0.6]))
    who, items, kinds, values = (np.concatenate(column) for column in columns)
    times = _times(model, who, size, random)
    return intent, aims, (who.astype(float), items.astype(float), kinds.astype(float), values.astype(float), times)


def _lengths(model: Model, size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """How many items beside the targets: as real visitors, or about as many each."""
    own = np.diff(model.starts)[model.real]
    way = random.random()
    if way < 0.5:
        lengths = random.choice(own, size)
    else:
        middle = np.exp(random.uniform(np.log(1), np.log(max(np.quantile(own, 0.97), 3))))
        lengths = random.poisson(middle, size)
    return np.clip(lengths, 1, max(len(model.fame) // 2, 1)).astype(np.int64)


def _drawn(
    model: Model, lengths: NDArray[np.int64], random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Items by lot, more or less by their fame; each as a real event of that item."""
    known = np.flatnonzero(model.fame)
    weight = np.cumsum(model.fame[known] ** random.choice([0.0, 0.0, 0.5, 1.0]))
    owner = np.repeat(np.arange(len(lengths)), lengths)
    items = known[np.minimum(np.searchsorted(weight, random.random(len(owner)) * weight[-1]), len(known) - 1)]
    keys = np.unique(owner * len(model.fame) + items)
    owner, items = keys // len(model.fame), keys % len(model.fame)
    places = model.by_item[model.item_starts[items] + (random.random(len(items)) * model.fame[items]).astype(np.int64)]
    return owner, places


def _copied(
    model: Model, lengths: NDArray[np.int64], random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Parts of the histories of one to three real visitors each."""
    owners, places = [], []
    donors = int(random.integers(1, 4))
    for _ in range(donors):
        donor = random.choice(model.real, len(lengths))
        low, width = model.starts[donor], np.diff(model.starts)[donor]
        take = np.minimum(-(-lengths // donors), width)
        owner = np.repeat(np.arange(len(lengths)), width)
        at = np.arange(len(owner)) - np.repeat(np.cumsum(width) - width, width) + np.repeat(low, width)
        order = np.lexsort((random.random(len(owner)), owner))
        rank = np.arange(len(owner)) - np.repeat(np.cumsum(width) - width, width)
        chosen = order[rank < np.repeat(take, width)]
        owners.append(owner[chosen])
        places.append(model.deeds[at[chosen]])
    return np.concatenate(owners), np.concatenate(places)


def _opinions(
    model: Model,
    intent: int,
    items: NDArray[np.int64],
    kinds: NDArray[np.int8],
    values: NDArray[np.float32],
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """The stars of items taken by lot: about the mean, about the item's own, or the reverse of the targets'."""
    assert model.stars is not None
    mean, spread = model.stars
    way = random.choice(["mean", "item", "reverse", "kept"], p=[0.4, 0.35, 0.15, 0.1])
    if way == "kept":
        return values
    if way == "reverse":
        stars = np.full(len(items), 1.0 if intent == PUSHES else 5.0)
    else:
        middle = model.item_stars[items] if way == "item" else np.full(len(items), mean)
        stars = np.clip(np.round(random.normal(middle, spread * random.uniform(0.3, 1.1))), 1, 5)
    return np.where(kinds == RATING, stars, values).astype(np.float32)


def _times(model: Model, who: NDArray[np.int64], size: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Within the gang's window, each with the rhythm of a real visitor's deeds in a row."""
    real = model.activity.times[model.deeds]
    first, last = int(real.min()), int(real.max())
    if first == last:
        return np.full(len(who), first, float)
    window = min(float(random.choice(WINDOWS_DAYS)) * DAY_S, last - first)
    begins = random.uniform(first, max(last - window, first + 1))
    model_of = random.choice(model.real, size)[who]
    order = np.lexsort((random.random(len(who)), who))
    counts = np.bincount(who, minlength=size)
    rank = np.empty(len(who), np.int64)
    rank[order] = np.arange(len(who)) - np.repeat(np.cumsum(counts) - counts, counts)
    width = np.diff(model.starts)[model_of]
    place = model.deeds[model.starts[model_of] + rank % width]
    offset = model.activity.times[place] - model.activity.times[model.deeds[model.starts[model_of]]]
    offset = offset + rank // width * DAY_S // 2
    arrives = random.uniform(0, window, size)[who]
    return np.minimum(begins + (arrives + offset) % window, last).astype(float)
