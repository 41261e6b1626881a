"""Whether a text praises: a probability that means what it says.

Two linear scores, of the text's vector and of its n-grams, are joined and calibrated at once by a logistic regression
on texts that neither has seen (Platt scaling, Platt 1999, with two inputs).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommender.engine.errors import NoData
from recommender.engine.opinion import ngrams

Arrays = Mapping[str, NDArray[Any]]
HELD = 0.2  # share of the texts that calibrates
FEWEST = 20  # texts of each kind that can be learned from
STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0)  # inverse regularisations tried for the vectors' score
BINS = 10
FOLDS = 5


@dataclass(frozen=True)
class Learned:
    arrays: Arrays
    """vectors (D + 1,), ngrams (COLUMNS + 1,), joined (3,)."""
    facts: dict[str, Any]
    """On texts held out, by cross-fitting the calibration: accuracy, log loss, expected calibration error."""


def fit(
    texts: Sequence[str], vectors: NDArray[np.float32], praise: ArrayLike, seed: int = 42, held: float = HELD
) -> Learned:
    """Learn from B texts, their vectors float32 (B, D), where D may be 0, and `praise` (B,): 1, 0, or .5 for texts
    that do both, which are learned from as half a text of each kind.

    The same input and seed give the same arrays. Raises NoData for fewer than FEWEST that praise, or that do not.
    """
    told = np.asarray(praise, dtype=np.float64)
    if min(np.count_nonzero(told == 1), np.count_nonzero(told == 0)) < FEWEST:
        raise NoData(f"Sentiment is learned from {FEWEST} texts that praise and {FEWEST} that do not, at least.")
    return fit_apart(texts, vectors, told, _apart(told, held, np.random.default_rng(seed)))


def fit_apart(
    texts: Sequence[str],
    vectors: NDArray[np.float32],
    praise: NDArray[np.float64],
    apart: NDArray[np.bool_],
    strengths: Sequence[float] = STRENGTHS,
) -> Learned:
    """The same, where `apart`, bool (B,), says which texts are held out."""
    learn, judge = (_Told.of(np.flatnonzero(part), praise) for part in (~apart, apart))
    arrays: dict[str, NDArray[Any]] = {
        "ngrams": ngrams.fit([texts[row] for row in learn.rows], learn.liked, learn.weights),
        "vectors": _linear(vectors, learn, judge, strengths),
    }
    both = _scores(arrays, [texts[row] for row in judge.rows], vectors[judge.rows])
    found, clear = _cross_fitted(both, judge), judge.weights == 1
    arrays["joined"] = _platt(both, judge.liked, judge.weights)
    facts = measures(found[clear], judge.liked[clear])
    return Learned(arrays, {**facts, "learned_from": int(np.sum(~apart)), "held": int(np.sum(clear))})


@dataclass(frozen=True)
class _Told:
    """Texts by their rows and what they are learned as: those that do both come twice, at half the weight."""

    rows: NDArray[np.int64]
    liked: NDArray[np.bool_]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, rows: NDArray[np.int64], praise: NDArray[np.float64]) -> "_Told":
        both = rows[praise[rows] == 0.5]
        rows = np.concatenate([rows, both])
        liked = praise[rows] >= 0.5
        liked[len(rows) - len(both) :] = False
        return cls(rows, liked, np.where(praise[rows] == 0.5, 0.5, 1.0))


def judge(arrays: Arrays, texts: Sequence[str], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """How surely each text praises, float32 (B,), 0 to 1. `vectors` (B, D) as `fit` had them."""
    weights = np.asarray(arrays["joined"], dtype=np.float64)
    return _sigmoid(_scores(arrays, texts, vectors) @ weights[:2] + weights[2]).astype(np.float32)


def fit_folds(
    texts: Sequence[str], vectors: NDArray[np.float32], praise: ArrayLike, folds: NDArray[np.int64], seed: int = 42
) -> Learned:
    """As `fit`, once for each fold 0, 1, ... of `folds` (B,) from the texts of the others, so that each text can be
    judged by what did not learn from it: what did may remember what it was told. Facts are of all texts, so judged.
    """
    told = np.asarray(praise, dtype=np.float64)
    arrays: dict[str, NDArray[Any]] = {}
    for fold in range(int(folds.max(initial=0)) + 1):
        rows = np.flatnonzero(folds != fold)
        found = fit([texts[row] for row in rows.tolist()], vectors[rows], told[rows], seed)
        arrays |= {f"fold{fold}/{name}": array for name, array in found.arrays.items()}
    clear = told != 0.5
    sure = judge_folds(arrays, texts, vectors, folds)[clear]
    return Learned(arrays, {**measures(sure, told[clear] == 1), "learned_from": len(told)})


def judge_folds(
    arrays: Arrays, texts: Sequence[str], vectors: NDArray[np.float32], folds: NDArray[np.int64]
) -> NDArray[np.float32]:
    """As `judge`, each text by what was learned without its fold (B,)."""
    found = np.zeros(len(texts), dtype=np.float32)
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        mine = {name: arrays[f"fold{fold}/{name}"] for name in ("vectors", "ngrams", "joined")}
        found[rows] = judge(mine, [texts[row] for row in rows.tolist()], vectors[rows])
    return found


def join(both: NDArray[np.float64], held: NDArray[np.bool_], asked: NDArray[np.float64]) -> tuple[Any, Any]:
    """Probabilities from scores (B, 2) of texts that praise where `held`, bool (B,), says so: of these themselves, each
    by a calibration that did not see it, and of others, `asked` (C, 2)."""
    told = _Told(np.arange(len(held)), held, np.ones(len(held)))
    weights = _platt(both, held, told.weights)
    return _cross_fitted(both, told), _sigmoid(asked @ weights[:2] + weights[2])


def measures(found: NDArray[np.floating[Any]], liked: NDArray[np.bool_]) -> dict[str, float]:
    """Accuracy, log loss and expected calibration error of probabilities (B,)."""
    sure = np.clip(found, 1e-7, 1 - 1e-7)
    return {
        "accuracy": float(np.mean((found >= 0.5) == liked)),
        "log_loss": float(-np.mean(np.where(liked, np.log(sure), np.log1p(-sure)))),
        "calibration_error": calibration_error(found, liked),
    }


def calibration_error(found: NDArray[np.floating[Any]], liked: NDArray[np.bool_], bins: int = BINS) -> float:
    """How far probabilities are from shares, on average (ECE, Naeini et al. 2015, over bins of equal width)."""
    place = np.minimum((found * bins).astype(int), bins - 1)
    gaps = np.bincount(place, liked.astype(np.float64) - found, minlength=bins)
    return float(np.abs(gaps).sum() / max(1, len(found)))


def _scores(arrays: Arrays, texts: Sequence[str], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """(B, 2)."""
    weights = np.asarray(arrays["vectors"], dtype=np.float64)
    return np.stack([vectors @ weights[:-1] + weights[-1], ngrams.scores(arrays["ngrams"], texts)], axis=1)


def _linear(
    vectors: NDArray[np.float32], learn: _Told, judge: _Told, strengths: Sequence[float]
) -> NDArray[np.float32]:
    """Logistic regression over standardised vectors, the strength by the loss on those held out; (D + 1,)."""
    from sklearn.linear_model import LogisticRegression

    if not vectors.shape[1]:
        return np.zeros(1, dtype=np.float32)
    seen, asked = vectors[learn.rows], vectors[judge.rows]
    mean, spread = seen.mean(axis=0, dtype=np.float64), seen.std(axis=0, dtype=np.float64)
    spread[spread < 1e-9] = 1.0
    scaled, best = (seen - mean) / spread, (np.inf, np.zeros(vectors.shape[1] + 1))
    for strength in strengths:
        found = LogisticRegression(C=strength, max_iter=500).fit(scaled, learn.liked, learn.weights)
        weights = found.coef_[0] / spread
        weights = np.append(weights, found.intercept_[0] - weights @ mean)
        sure = np.clip(_sigmoid(asked @ weights[:-1] + weights[-1]), 1e-7, 1 - 1e-7)
        loss = -np.average(np.where(judge.liked, np.log(sure), np.log1p(-sure)), weights=judge.weights)
        best = min(best, (float(loss), weights), key=lambda one: one[0])
    return best[1].astype(np.float32)


def _platt(both: NDArray[np.float64], liked: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the two scores and the intercept, (3,)."""
    from sklearn.linear_model import LogisticRegression

    found = LogisticRegression(C=1.0, max_iter=500).fit(both, liked, weights)
    return np.append(found.coef_[0], found.intercept_[0])


def _cross_fitted(both: NDArray[np.float64], judge: _Told) -> NDArray[np.float64]:
    """Probabilities of the texts held out, each by a calibration that did not see it."""
    found = np.empty(len(judge.liked))
    fold = np.empty(len(judge.liked), dtype=int)
    for kind in (True, False):
        mine = np.flatnonzero(judge.liked == kind)
        fold[mine] = np.arange(len(mine)) % FOLDS
    for number in range(FOLDS):
        known, asked = fold != number, fold == number
        weights = _platt(both[known], judge.liked[known], judge.weights[known])
        found[asked] = _sigmoid(both[asked] @ weights[:2] + weights[2])
    return found


def _apart(praise: NDArray[np.float64], held: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """Which are held out, bool (B,): the same share of each kind."""
    apart = np.zeros(len(praise), dtype=np.bool_)
    for kind in (1.0, 0.5, 0.0):
        rows = random.permutation(np.flatnonzero(praise == kind))
        apart[rows[: max(2, round(held * len(rows)))]] = True
    return apart


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(x, -500, 500)))
