"""What staff decided, learned: a classifier over a subject's features and what the detectors said without labels.

Two learners read the features: logistic regression over each value's place among all values, for few labels, and a
random forest, for many. Their log odds are joined with the detectors' by a logistic regression on rows that the learner
has not seen (stacking, Wolpert 1992), which calibrates them too (Platt 1999). Half of what the joining sees are rows
whose whole kind was kept from the learner, where kinds are known: it so learns how far to trust the detectors when
something new turns up, which a classifier alone takes for harmless.

Acts only where held-out labels are told better than by the detectors alone; else these stand, and it says why. So do
they for rows that they call less likely than those that staff decided about, unless clean rows were learned from, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommender.engine.anomaly import learners
from recommender.engine.anomaly.learners import EDGE, Arrays, logit
from recommender.engine.anomaly.rows import Scaling, check_number
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options

CONFIRMED, RELEASED, UNKNOWN = 1, 0, -1
LEAST_GAIN = 0.005  # of log loss, nats, that is worth another judge; also more than one standard error of the gain
LOWEST = 5  # labels of the lowest probabilities; where there are fewer below, too little was told of what is like them
RIDGE = 1e-3  # of the joining, times the squared weights


@dataclass(frozen=True)
class Config:
    floor: int = 20
    """Labels of each class that no equal row contradicts, before it may act."""
    learners: tuple[str, ...] = ("logistic", "forest")
    """Tried; the one that tells held-out labels best is taken."""
    forest_from: int = 200
    """Labels from which the forest is tried, where there is another learner."""
    trees: int = 100
    leaf: int = 2
    """Labels in a leaf, at least."""
    folds: int = 5
    weak: float = 0.1
    """How much a clean row counts, as a share of a label; together they count no more than the labels do."""
    weak_rows: int = 2000
    """Clean rows that are learned from, at most; others are left out by chance."""

    def __post_init__(self) -> None:
        for name, least in {"floor": 5, "forest_from": 10, "trees": 1, "leaf": 1, "folds": 2, "weak_rows": 0}.items():
            check_number(name, getattr(self, name), least, whole=True)
        check_number("weak", self.weak, 0, 1)
        if not self.learners or set(self.learners) - set(learners.LEARNERS):
            raise InvalidConfig(f"learners must be one or more of {', '.join(learners.LEARNERS)}.")


@dataclass(frozen=True)
class Learned:
    arrays: Arrays
    """Empty where it does not act."""
    facts: dict[str, Any]
    """JSON: labels of each class, contradicted, clean; acts; why, in words; the learner; and, on held-out labels, the
    log loss and AUROC with it and without, and the AUROC on kinds kept from it."""

    @property
    def acts(self) -> bool:
        return bool(self.arrays)


@dataclass(frozen=True)
class _Told:
    """What is learned from: rows with the detectors' log odds as the last column."""

    rows: NDArray[np.float32]
    positive: NDArray[np.bool_]
    weights: NDArray[np.float64]
    judged: NDArray[np.bool_]
    """By people; the others are clean rows."""
    fold: NDArray[np.int64]
    kind_fold: NDArray[np.int64]
    """The same but for positives, whose whole kind is in one; -1 for these where fewer than two kinds are known."""
    kind: NDArray[np.int64]
    """A number for each kind of positives; -1 for the others."""


def fit(
    features: NDArray[np.float32],
    labels: ArrayLike,
    unsupervised: ArrayLike,
    options: Options,
    config: Config = Config(),
    kinds: Sequence[str] | None = None,
    clean: ArrayLike | None = None,
) -> Learned:
    """Learn from `features` (R, F), NaN where missing, `labels` (R,) of CONFIRMED, RELEASED and UNKNOWN, and
    `unsupervised` probabilities (R,), those of NaN taken for 0.

    `kinds` (R,) name what a confirmed row is. `clean`, bool (R,), are rows that nobody judged but that nothing speaks
    against: weak negatives. Rows of equal features and different labels are learned from as the share they are; equal
    rows are in the same fold. The same input and seed give the same arrays. Raises InvalidConfig for what does not fit
    together, and whatever `options.progress` raises.
    """
    rows, told = np.asarray(features, dtype=np.float32), np.asarray(labels)
    sure = _probabilities(unsupervised)
    given = [told.shape, sure.shape, *(np.shape(one) for one in (kinds, clean) if one is not None)]
    if rows.ndim != 2 or any(shape != rows.shape[:1] for shape in given):
        raise InvalidConfig("Features, labels, probabilities, kinds and clean rows must be of the same rows.")
    if not np.isin(told, (CONFIRMED, RELEASED, UNKNOWN)).all():
        raise InvalidConfig("A label is 1, 0, or -1 where there is none.")
    judged = np.flatnonzero(told != UNKNOWN)
    groups = _groups(rows[judged])
    positive = told[judged] == CONFIRMED
    share = np.bincount(groups, positive) / np.maximum(1, np.bincount(groups)) if len(judged) else np.zeros(0)
    contradicted = (share[groups] > 0) & (share[groups] < 1)
    facts: dict[str, Any] = {
        "confirmed": int(positive.sum()),
        "released": int((~positive).sum()),
        "contradicted": int(contradicted.sum()),
        "floor": config.floor,
    }
    undisputed = [int((~contradicted & (positive == kind)).sum()) for kind in (True, False)]
    if min(undisputed) < config.floor:
        return _aside(
            facts,
            f"{config.floor} of each are needed, confirmed and released, that do not contradict each other; there are"
            f" {undisputed[0]} and {undisputed[1]}.",
        )
    if not rows.shape[1]:
        return _aside(facts, "there are no features to learn from.")
    scale = Scaling.learn(rows, "none").arrays
    data = _told(_extended(scale, rows, sure), told, judged, groups, kinds, clean, config, options.seed)
    facts["clean"] = int((~data.judged).sum())
    return _chosen(data, scale, facts, config, options)


def probabilities(arrays: Arrays, features: NDArray[np.float32], unsupervised: ArrayLike) -> NDArray[np.float64]:
    """(R,), calibrated; the unsupervised ones without arrays, and where these are below all that anything was told of.
    Raises Misfit for other features than were learned."""
    sure = _probabilities(unsupervised)
    if not arrays:
        return sure
    rows = _extended(arrays, features, sure)
    able = rows[:, -1] >= arrays["reach"]
    found = sure.copy()
    pairs = _pair(learners.log_odds(arrays, rows[able]), rows[able, -1])
    found[able] = _sigmoid(_joined(pairs, np.asarray(arrays["joined"])))
    return found


def contributions(arrays: Arrays, features: NDArray[np.float32], unsupervised: ArrayLike) -> NDArray[np.float32]:
    """(R, F): how much each feature speaks for (above 0) or against, by what was told; zeros without arrays."""
    if not arrays:
        return np.zeros(features.shape, dtype=np.float32)
    return learners.contributions(arrays, _extended(arrays, features, _probabilities(unsupervised)))[:, :-1]


def _aside(facts: dict[str, Any], why: str) -> Learned:
    return Learned({}, facts | {"acts": False, "why": why})


def _chosen(data: _Told, scale: Arrays, facts: dict[str, Any], config: Config, options: Options) -> Learned:
    """The learner that tells held-out labels best, if it tells them better than the detectors."""
    held, mine = data.positive[data.judged], data.judged
    alone = _cross_fitted(data.rows[:, -1:], data)[mine]
    plain = _sigmoid(data.rows[mine, -1])
    facts |= {"auroc_without": auroc(plain, held), "log_loss_without": log_loss(alone, held)}
    names = [name for name in config.learners if name != "forest" or len(held) >= config.forest_from]
    names = names or list(config.learners)
    tried = {}
    for number, name in enumerate(names):
        seen, unseen = _out_of_fold(name, data, config, options, (number / len(names), (number + 1) / len(names)))
        tried[name] = (_cross_fitted(_pair(seen, data.rows[:, -1]), data)[mine], seen, unseen)
    name = min(names, key=lambda one: log_loss(tried[one][0], held))
    found, seen, unseen = tried[name]
    facts |= {"learner": name, "auroc": auroc(found, held), "log_loss": log_loss(found, held)}
    gain = _losses(alone, held) - _losses(found, held)
    error = float(gain.std() / np.sqrt(len(gain)))
    if gain.mean() <= max(error, LEAST_GAIN) or facts["auroc"] < facts["auroc_without"]:
        return _aside(facts, "on decisions kept from it, it told no better than the detectors do alone.")
    joined = _joining(seen, unseen, data, facts)
    arrays = learners.fit(name, data.rows, data.positive, data.weights, options, config.trees, config.leaf)
    options.progress(1.0, "learned")
    return Learned(
        {**scale, **arrays, "joined": joined, "reach": _reach(data, config)}, facts | {"acts": True, "why": ""}
    )


def _reach(data: _Told, config: Config) -> NDArray[np.float64]:
    """The detectors' log odds, (), from which it acts: staff decide about what was found, and say nothing of what was
    not. Clean rows do."""
    if int((~data.judged).sum()) >= config.floor:
        return np.array(-np.inf)
    return np.sort(data.rows[data.judged, -1])[LOWEST - 1].astype(np.float64)


def _joining(
    seen: NDArray[np.float64], unseen: NDArray[np.float64], data: _Told, facts: dict[str, Any]
) -> NDArray[np.float64]:
    """What the learner's log odds and the detectors' are joined by, (3,); where kinds are known, half of the confirmed
    rows' weight is of those whose kind was kept from the learner, each kind counting by the root of its rows."""
    pairs, told, weights = _pair(seen, data.rows[:, -1]), data.positive, data.weights.copy()
    new = np.flatnonzero(data.positive & (data.kind_fold >= 0))
    if not len(new):
        return _join(pairs, told, weights)
    share = 1 / np.sqrt(np.bincount(data.kind[new])[data.kind[new]])
    weights[data.positive] /= 2
    pairs_new = _pair(unseen, data.rows[:, -1])
    joined = _join(
        np.concatenate([pairs, pairs_new[new]]),
        np.concatenate([told, told[new]]),
        np.concatenate([weights, share / share.sum() * weights[data.positive].sum()]),
    )
    asked = np.concatenate([new, np.flatnonzero(~data.positive & data.judged)])
    facts["auroc_new_kinds"] = auroc(_joined(pairs_new[asked], joined), data.positive[asked])
    facts["auroc_new_kinds_without"] = auroc(data.rows[asked, -1], data.positive[asked])
    return joined


def _out_of_fold(
    name: str, data: _Told, config: Config, options: Options, shares: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log odds (R,) of each row by a learner that has not seen it; and by one that has not seen its kind either."""
    seen = np.zeros(len(data.rows))
    unseen = seen.copy()
    kinds = bool((data.kind_fold[data.positive] >= 0).any())
    for fold in range(config.folds):
        options.progress(shares[0] + (shares[1] - shares[0]) * 0.9 * fold / config.folds, f"{name}: held-out decisions")
        for folds, found in ((data.fold, seen), (data.kind_fold, unseen)):
            asked = folds == fold
            if (found is unseen and not kinds) or not asked.any():
                continue
            known = ~asked
            if found is unseen:
                known &= data.kind_fold >= 0
            if len(np.unique(data.positive[known])) < 2:
                found[asked] = 0.0
                continue
            arrays = learners.fit(
                name, data.rows[known], data.positive[known], data.weights[known], options, config.trees, config.leaf
            )
            found[asked] = learners.log_odds(arrays, data.rows[asked])
    return seen, unseen


def _told(
    rows: NDArray[np.float32],
    labels: NDArray[Any],
    judged: NDArray[np.int64],
    groups: NDArray[np.int64],
    kinds: Sequence[str] | None,
    clean: ArrayLike | None,
    config: Config,
    seed: int,
) -> _Told:
    random = np.random.default_rng(seed)
    free = np.asarray(labels == UNKNOWN) & (False if clean is None else np.asarray(clean, dtype=np.bool_))
    weak = np.flatnonzero(free) if config.weak > 0 else np.zeros(0, dtype=np.int64)
    if len(weak) > config.weak_rows:
        weak = np.sort(random.permutation(weak)[: config.weak_rows])
    at = np.concatenate([judged, weak])
    positive = labels[at] == CONFIRMED
    weights = np.ones(len(at))
    weights[len(judged) :] = min(config.weak, len(judged) / max(1, len(weak)))
    fold = np.empty(len(at), dtype=np.int64)
    fold[: len(judged)] = _folds(groups, positive[: len(judged)], config.folds, random)
    fold[len(judged) :] = random.permutation(len(weak)) % config.folds
    kind_fold = fold.copy()
    kind_fold[positive] = -1
    kind = np.full(len(at), -1, dtype=np.int64)
    if kinds is not None:
        named = np.array([kinds[row] for row in at[positive].tolist()], dtype=np.str_)
        each, number, counts = np.unique(named, return_inverse=True, return_counts=True)
        if len(each) > 1:
            order = np.argsort(-counts, kind="stable")  # the largest kinds are kept out apart from each other
            place = np.empty(len(each), dtype=np.int64)
            place[order] = np.arange(len(each)) % config.folds
            kind_fold[positive], kind[positive] = place[number], number
    return _Told(rows[at], positive, weights, np.arange(len(at)) < len(judged), fold, kind_fold, kind)


def _folds(
    groups: NDArray[np.int64], positive: NDArray[np.bool_], folds: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """A fold for each label: equal rows in the same one, the classes spread evenly."""
    count = np.bincount(groups)
    mostly = np.bincount(groups, positive) * 2 > count
    found = np.empty(len(count), dtype=np.int64)
    for kind in (True, False):
        mine = random.permutation(np.flatnonzero(mostly == kind))
        mine = mine[np.argsort(-count[mine], kind="stable")]
        found[mine] = np.arange(len(mine)) % folds
    return found[groups]


def _groups(rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """(R,): the same number for rows whose features are equal, NaN equal to NaN."""
    if not len(rows):
        return np.zeros(0, dtype=np.int64)
    cleaned = np.where(np.isnan(rows), np.float32(3.14e30), rows) + np.float32(0)  # and -0 equal to 0
    return np.asarray(np.unique(cleaned, axis=0, return_inverse=True)[1]).reshape(-1).astype(np.int64)


def _extended(arrays: Arrays, features: NDArray[np.float32], sure: NDArray[np.float64]) -> NDArray[np.float32]:
    """(R, F + 1): finite and within what was seen, for beyond it nothing was told; and the detectors' log odds."""
    scaling = Scaling.of(arrays)
    inside = np.clip(scaling.finite(np.asarray(features)), scaling.low, scaling.high)
    return np.column_stack([inside, logit(sure)]).astype(np.float32)


def _pair(log_odds: NDArray[np.floating[Any]], alone: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(R, 2): what is joined."""
    return np.stack([log_odds, alone], axis=1).astype(np.float64)


def _join(
    features: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights and the intercept (J + 1,) of a logistic regression; no weight is below 0: more suspicious never means
    less."""
    from scipy.optimize import minimize

    share = weights / weights.sum()

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = _joined(features, point)
        slope = share * (_sigmoid(z) - positive)
        value = share @ (np.logaddexp(0, z) - positive * z) + RIDGE * (point[:-1] @ point[:-1])
        return float(value), np.append(slope @ features + 2 * RIDGE * point[:-1], slope.sum())

    width = features.shape[1]
    start = np.append(np.full(width, 1 / width), 0.0)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * width + [(None, None)])
    return np.asarray(found.x, dtype=np.float64)


def _joined(features: NDArray[np.float64], joined: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(features @ joined[:-1] + joined[-1])


def _cross_fitted(features: NDArray[np.floating[Any]], data: _Told) -> NDArray[np.float64]:
    """Probabilities (R,), each by a joining that did not see its fold."""
    found, wide = np.empty(len(features)), features.astype(np.float64)
    for fold in np.unique(data.fold):
        known, asked = data.fold != fold, data.fold == fold
        found[asked] = _sigmoid(_joined(wide[asked], _join(wide[known], data.positive[known], data.weights[known])))
    return found


def auroc(scores: NDArray[np.floating[Any]], positive: NDArray[np.bool_]) -> float:
    """The chance that a positive scores above a negative; ties count half. Both must be there."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    many = int(positive.sum())
    return float((ranks[positive].sum() - many * (many + 1) / 2) / (many * (len(positive) - many)))


def log_loss(found: NDArray[np.floating[Any]], positive: NDArray[np.bool_]) -> float:
    return float(_losses(found, positive).mean())


def _losses(found: NDArray[np.floating[Any]], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    sure = np.clip(found, EDGE, 1 - EDGE)
    return -np.where(positive, np.log(sure), np.log1p(-sure))


def _probabilities(values: ArrayLike) -> NDArray[np.float64]:
    return np.clip(np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0), 0.0, 1.0)


def _sigmoid(z: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.logaddexp(0, -z.astype(np.float64))))
