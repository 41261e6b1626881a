"""How surely a score means an anomaly: from scores alone, or from scores and staff's verdicts.

Without labels: most scores are taken to be those of usual rows. Their centre, width, skew and tails are read off the
quantiles below the worst eighth (Tukey's g-and-h distribution, Hoaglin 1985), which anomalies cannot move much. What
is beyond them is judged by the local false discovery rate (Efron 2004) with the density of Grenander (Strimmer 2008):
of rows at .9, about nine in ten are more than the tail of usual rows explains. A prior, `CONTAMINATION` with the least
favourable alternative of Sellke, Bayarri and Berger (2001), counts as `PRIOR_ROWS` rows and so decides where there are
few; it also keeps one odd row out of ten from being called certain.

With labels: Platt's (1999) sigmoid, with his smoothed targets, over the same standardised scores.

Either way the answer is one rising curve, K points, and a row's probability depends on its score and the curve only.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import InvalidConfig, NoData, NotFinite

Arrays = Mapping[str, NDArray[Any]]

CONTAMINATION = 0.02  # the share of anomalies that is expected where nothing else is known
PRIOR_ROWS = 50.0  # that the prior counts as
POINTS = 512  # of the curve
REACH = 38.0  # standard deviations that a curve reaches; the normal tail ends in float64 at 38
QUARTILE, OCTILE = 0.6744897501960817, 1.1503493803760079  # of the normal distribution: its .75 and .875 quantiles
MOST_SKEW, MOST_TAIL = 2.0, 0.5  # g and h; above them the distribution has no mean or variance to speak of
LEAST, MOST = 1e-300, 1e300
ROUNDS = 4  # of telling usual rows from others
MOST_ANOMALOUS = 0.25
STEPS = 50  # of Newton's method


def fit(
    scores: NDArray[Any], labels: NDArray[Any] | None = None, *, contamination: float = CONTAMINATION
) -> dict[str, NDArray[Any]]:
    """The curve: `scores` and `probabilities`, float64 (K,) each, both rising.

    `scores` (R,) are those of the rows learned from, higher is more anomalous. `labels` (R,), where there are any: 1
    for an anomaly, 0 for none, NaN where nobody said; where all say the same, they are left out. Raises NoData,
    NotFinite, and InvalidConfig for other labels or a contamination outside 0 to 1.
    """
    values = np.asarray(scores, dtype=np.float64).ravel()
    if not 0 < contamination < 1:
        raise InvalidConfig("contamination must be between 0 and 1.")
    if not len(values):
        raise NoData("There are no scores to calibrate by.")
    if not np.isfinite(values).all():
        raise NotFinite("Scores to calibrate by must be finite.")
    usual = _usual(values, contamination)
    z = np.linspace(-4.0, usual.reach(values.max()), POINTS)
    if labels is not None and (known := _known(labels, values)) is not None:
        told, answers = known
        slope, offset = _platt(usual.z(told), answers)
        curve = 1 / (1 + np.exp(-np.clip(slope * z + offset, -500, 500)))
    else:
        curve = _beyond(usual.z(values), z, contamination)
    points = usual.scores(z)
    rising = np.concatenate(([True], np.diff(points) > 0))  # a width below float64's resolution makes equal points
    return {"scores": points[rising], "probabilities": np.maximum.accumulate(curve)[rising]}


def probabilities(arrays: Arrays, scores: NDArray[Any]) -> NDArray[np.float64]:
    """(R,), from 0 to 1, rising with the score; NaN, which no detector gives, counts as the lowest."""
    values = np.nan_to_num(np.asarray(scores, dtype=np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    return np.clip(np.interp(values, arrays["scores"], arrays["probabilities"]), 0.0, 1.0)


class _Usual:
    """The g-and-h distribution of usual rows: score = centre + width (e^(g z) - 1) / g e^(h z^2 / 2), z > 0."""

    def __init__(self, values: NDArray[np.float64], anomalous: float, tail: bool = True) -> None:
        """`anomalous`: the share of `values` (R,), rising, that lies above all usual ones."""
        levels = np.array([0.25, 0.5, 0.75, 0.875]) * (1 - anomalous)
        low, self.centre, high, far = (float(q) for q in np.quantile(values, levels))
        upper, lower = high - self.centre, self.centre - low
        if upper <= 0:  # half of the scores are equal: the width is that of the others, or any where there are none
            spread = np.abs(values - self.centre)
            upper = lower = QUARTILE * float(spread[spread > 0].mean()) if (spread > 0).any() else 0.0
            tail = False
        self.skew = float(np.clip(np.log(upper / lower) / QUARTILE, 0.0, MOST_SKEW)) if upper > lower > 0 else 0.0
        self.width = max(upper / _skewed(QUARTILE, self.skew), 4 * float(np.spacing(abs(self.centre))), LEAST)
        # What the .875 quantile is beyond what skew and width say is the tail's weight: centre + width g(z) e^(h z^2/2)
        # at two quantiles. Width and h are both read off them.
        ratio = (far - self.centre) * _skewed(QUARTILE, self.skew) / (max(upper, LEAST) * _skewed(OCTILE, self.skew))
        found = 2 * np.log(ratio) / (OCTILE**2 - QUARTILE**2) if tail and ratio > 1 else 0.0
        self.tail = float(np.clip(found, 0.0, MOST_TAIL))
        self.width = max(self.width * float(np.exp(-self.tail * QUARTILE**2 / 2)), LEAST)

    def scores(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        grown = _skewed(z, self.skew) * np.where(z > 0, np.exp(self.tail * z**2 / 2), 1.0)
        with np.errstate(over="ignore"):
            return np.clip(self.centre + self.width * grown, -MOST, MOST)

    def z(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standardised: normal, where all rows are usual. From -4 to REACH."""
        grid = np.linspace(-4.0, REACH, 8 * POINTS)
        return np.interp(scores, self.scores(grid), grid)

    def reach(self, score: float) -> float:
        """A little beyond the z of the highest score, so that the curve's points lie where the scores do."""
        return float(np.clip(1.1 * self.z(np.array([score]))[0], 6.0, REACH))


def _skewed(z: Any, skew: float) -> Any:
    return np.expm1(skew * z) / skew if skew > 1e-9 else z


def _usual(values: NDArray[np.float64], contamination: float) -> _Usual:
    """The usual rows' distribution among `values` (R,): anomalies, as found by the last round, are left out of the
    quantiles of the next. The first thinks of tails as the normal distribution's, or it would explain them away."""
    ordered = np.sort(values)
    usual = _Usual(ordered, contamination, tail=False)
    for _ in range(ROUNDS):
        z = usual.z(ordered)
        usual = _Usual(ordered, min(MOST_ANOMALOUS, float(_beyond(z, z, contamination).mean())))
    return usual


def _beyond(rows: NDArray[np.float64], z: NDArray[np.float64], contamination: float) -> NDArray[np.float64]:
    """1 - local false discovery rate at each z (K,), by the standardised scores of `rows` (R,)."""
    from scipy.special import ndtr

    chance = np.maximum(ndtr(-rows), LEAST)  # of a usual row to score as high
    at = np.maximum(ndtr(-z), LEAST)
    count = len(rows)
    # The least favourable alternative: 1 / (-e p ln p) below 1/e is the most that a row of its p can speak for.
    alternative = np.where(at < np.exp(-1), 1 / (-np.e * at * np.log(np.minimum(at, np.exp(-1)))), 1.0)
    prior = (1 - contamination) + contamination * alternative
    density = (count * _grenander(chance, at) + PRIOR_ROWS * prior) / (count + PRIOR_ROWS)
    return np.clip(1 - (1 - contamination) / np.maximum(density, 1 - contamination), 0.0, 1.0)


def _grenander(chance: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The falling density of `chance` (R,) at `at`: the slopes of the least concave majorant of their distribution."""
    from sklearn.isotonic import isotonic_regression

    edges, counts = np.unique(chance, return_counts=True)
    widths = np.diff(np.concatenate(([0.0], edges)))
    slopes = counts / len(chance) / np.maximum(widths, LEAST)
    falling = isotonic_regression(slopes, sample_weight=np.maximum(widths, LEAST), increasing=False)
    place = np.minimum(np.searchsorted(edges, at, side="left"), len(edges) - 1)
    return np.asarray(falling[place], dtype=np.float64)


def _known(labels: NDArray[Any], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Scores and labels of the rows that have one; None where all say the same. Raises InvalidConfig."""
    answers = np.asarray(labels, dtype=np.float64).ravel()
    if len(answers) != len(values):
        raise InvalidConfig(f"There are {len(answers)} labels for {len(values)} scores.")
    told = ~np.isnan(answers)
    if not np.isin(answers[told], (0.0, 1.0)).all():
        raise InvalidConfig("Labels must be 1, 0 or NaN.")
    return (values[told], answers[told]) if len(np.unique(answers[told])) == 2 else None


def _platt(z: NDArray[np.float64], answers: NDArray[np.float64]) -> tuple[float, float]:
    """Slope, 0 or more, and offset of the sigmoid, by Newton's method on the smoothed targets."""
    positive = answers.sum()
    negative = len(answers) - positive
    targets = np.where(answers > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))
    flat = float(np.log((positive + 1) / (negative + 1)))
    x, best = np.stack((z, np.ones_like(z)), axis=1), np.array([0.0, flat])
    loss = _loss(x, targets, best)
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ best, -500, 500)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, x.T @ (p - targets))
        length = 1.0
        while length > 1e-6 and (now := _loss(x, targets, best - length * step)) > loss:
            length /= 2
        if length <= 1e-6 or loss - now < 1e-10:
            break
        best, loss = best - length * step, now
    # Verdicts that call the lower scores anomalies say that the score tells nothing.
    return (float(best[0]), float(best[1])) if best[0] > 0 else (0.0, flat)


def _loss(x: NDArray[np.float64], targets: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    margin = x @ weights
    return float((np.logaddexp(0, margin) - targets * margin).sum())
