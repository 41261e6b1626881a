"""What is measured of each profile by itself: its items, its stars, its hours."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.subjects import profile_taste
from recommender.engine.anomaly.subjects.profile_cells import Cells, Deeds
from recommender.engine.anomaly.subjects.profile_taste import Fit, Taste

DAY_S, HOUR_S = 86_400, 3600
VISIT_S = 1800  # a longer pause ends a visit
PULL = 3.0  # ratings at the overall mean that an item's own are mixed with

Column = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """Features of visitors, and what they were made of."""

    columns: dict[str, Column]
    """(U,) each; NaN where unknown."""
    fit: Fit
    strange: NDArray[np.float32]
    """(C,): how much less an item goes with its profile than with profiles in general; NaN where unknown."""


@dataclass(frozen=True)
class Others:
    """What all others but a cell's own visitor made of its item; decoys count for nobody."""

    real: NDArray[np.bool_]
    """(U,)"""
    takers: NDArray[np.int64]
    """(N,): real ones, all of them."""
    fame: NDArray[np.int64]
    """(C,): other real takers."""
    ratings: NDArray[np.int64]
    """(C,): other real ratings."""
    stars: Column
    """(C,): their mean, drawn towards everybody's; NaN where nobody rates anything."""

    @classmethod
    def of(cls, cells: Cells, real: NDArray[np.bool_]) -> "Others":
        own = real[cells.visitor_rows]
        takers = np.bincount(cells.item_rows[own], minlength=cells.items)
        rated = cells.rated & own
        stars = np.where(rated, cells.stars, 0).astype(np.float64)
        counts = np.bincount(cells.item_rows[rated], minlength=cells.items)
        total = np.bincount(cells.item_rows, stars, cells.items)
        overall = stars.sum() / rated.sum() if rated.any() else np.nan
        ratings = counts[cells.item_rows] - rated
        means = (total[cells.item_rows] - stars + PULL * overall) / (ratings + PULL)
        return cls(real, takers, takers[cells.item_rows] - own, ratings, means)


def expected_off(cells: Cells, others: Others) -> NDArray[np.float32]:
    """Stars above what item and visitor lead to expect (C,), 0 where none."""
    rated, found = cells.rated, np.zeros(len(cells), np.float32)
    if rated.any():
        visitors = cells.visitor_rows[rated]
        off = cells.stars[rated].astype(np.float64) - others.stars[rated]
        own = np.bincount(visitors, off, cells.visitors) / (np.bincount(visitors, minlength=cells.visitors) + PULL)
        found[rated] = off - own[visitors]
    return found


def measure(cells: Cells, deeds: Deeds, trusted: NDArray[np.bool_]) -> Measured:
    """`trusted` (U,): whom to learn from what is usual."""
    others = Others.of(cells, trusted)
    off = expected_off(cells, others)
    taste = profile_taste.learn(cells, off, others.takers, trusted)
    fit = profile_taste.fit(taste, cells, off)
    strange = _usual_bonds(others.takers, taste)[cells.item_rows] - fit.cells
    columns = {
        **_choice(cells, others, fit, strange),
        **_stars(cells, others),
        "liking": fit.liking.astype(np.float64),
        **(_hours(deeds) if cells.timed else {}),
        "deeds_each": _mean(cells, cells.deeds),
        "most_deeds": np.log1p(_largest(cells, cells.deeds)),
    }
    return Measured(columns, fit, strange)


def _mean(cells: Cells, values: NDArray[Any], chosen: NDArray[np.bool_] | None = None) -> Column:
    """(U,): of each visitor's cells; NaN where none."""
    rows = cells.visitor_rows if chosen is None else cells.visitor_rows[chosen]
    values = values if chosen is None else values[chosen]
    counts = np.bincount(rows, minlength=cells.visitors)
    total = np.bincount(rows, values, cells.visitors)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _largest(cells: Cells, values: NDArray[Any]) -> Column:
    found = np.zeros(cells.visitors)
    np.maximum.at(found, cells.visitor_rows, values)
    return found


def _usual_bonds(takers: NDArray[np.int64], taste: Taste) -> NDArray[np.float32]:
    """(N,): an item's mean bond with what anybody takes; NaN where unknown."""
    kept = np.flatnonzero(taste.places >= 0)
    weight = np.empty(len(kept), np.float32)
    weight[taste.places[kept]] = takers[kept]
    usual = taste.bonds @ weight / max(float(weight.sum()), 1.0)
    return np.where(taste.places >= 0, usual[taste.places], np.nan).astype(np.float32)


def _choice(cells: Cells, others: Others, fit: Fit, strange: NDArray[np.float32]) -> dict[str, Column]:
    fame = np.log1p(others.fame)
    known = np.isfinite(strange)
    mean_fame = _mean(cells, fame)
    mean_strange = _mean(cells, strange, known)
    spread = _mean(cells, (fame - mean_fame[cells.visitor_rows]) ** 2)
    strange_spread = _mean(cells, (strange - mean_strange[cells.visitor_rows]) ** 2, known)
    ordered = np.lexsort((fame, cells.visitor_rows))
    starts = np.cumsum(cells.sizes) - cells.sizes

    def quantile(share: float) -> Column:
        at = np.minimum(starts + (cells.sizes * share).astype(np.int64), max(len(cells) - 1, 0))
        return np.where(cells.sizes > 0, fame[ordered][at], np.nan) if len(cells) else np.full(cells.visitors, np.nan)

    return {
        "items": np.log1p(cells.sizes),
        "fame": mean_fame,
        "fame_spread": np.sqrt(spread),
        "fame_low": quantile(0.1),
        "fame_high": quantile(0.9),
        "coherence": fit.coherence.astype(np.float64),
        "strange": mean_strange,
        "strange_spread": np.sqrt(strange_spread),
    }


def _stars(cells: Cells, others: Others) -> dict[str, Column]:
    """The classical measures of Chirita, Nejdl, Zamfir 2005 and Mobasher et al. 2007, and the stars' own mix."""
    rated = cells.rated
    if not rated.any():
        return {}
    rows, stars = cells.visitor_rows[rated], cells.stars[rated].astype(np.float64)
    means = others.stars[rated]
    off = np.abs(stars - means)
    number = others.ratings[rated] + 1
    count = np.bincount(rows, minlength=cells.visitors)

    def mean(values: NDArray[Any]) -> Column:
        return np.where(count > 0, np.bincount(rows, values, cells.visitors) / np.maximum(count, 1), np.nan)

    middle = mean(stars)
    shares = [mean(np.round(stars) == star) for star in range(1, 6)]
    mix = np.stack(shares)
    entropy = -(mix * np.log(np.where(mix > 0, mix, 1))).sum(axis=0)
    return {
        "mean_stars": middle,
        "stars_spread": np.sqrt(mean((stars - middle[rows]) ** 2)),
        "fives": shares[4],
        "ones": shares[0],
        "stars_entropy": entropy,
        "deviation": mean(off),
        "deviation_signed": mean(stars - means),
        "rdma": np.log(mean(off / number) + 1e-4),
        "wdma": np.log(mean(off / number.astype(np.float64) ** 2) + 1e-6),
    }


def _hours(deeds: Deeds) -> dict[str, Column]:
    """Span, visits, pace and how even it is."""
    order = np.lexsort((deeds.times, deeds.visitor_rows))
    rows, times = deeds.visitor_rows[order], deeds.times[order]
    count = np.bincount(rows, minlength=deeds.visitors)
    same = rows[1:] == rows[:-1]
    pause = np.diff(times)
    short = same & (pause <= VISIT_S)
    visits = count - np.bincount(rows[1:][short], minlength=deeds.visitors)
    logs = np.log1p(pause[short].astype(np.float64))
    of = rows[1:][short]
    steps = np.bincount(of, minlength=deeds.visitors)
    with np.errstate(invalid="ignore", divide="ignore"):
        pace = np.bincount(of, logs, deeds.visitors) / steps
        unevenness = np.sqrt(np.bincount(of, (logs - pace[of]) ** 2, deeds.visitors) / steps)
        first = np.full(deeds.visitors, np.iinfo(np.int64).max)
        last = np.full(deeds.visitors, np.iinfo(np.int64).min)
        np.minimum.at(first, rows, times)
        np.maximum.at(last, rows, times)
        span = np.where(count > 0, (last - first) / DAY_S, np.nan)
        return {
            "span": np.log1p(span),
            "visits": np.log1p(visits),
            "deeds_a_visit": np.log1p(count / np.where(visits > 0, visits, np.nan)),
            "pace": pace,
            "unevenness": np.where(steps > 4, unevenness, np.nan),
        }
