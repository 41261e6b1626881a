"""From features to a verdict: a detector says how unlike the rest a row is, traits say what it looks like, and why.

Evidence is counted in log-odds, as a scorecard does (I. J. Good's weight of evidence): a row starts from the odds that
any row is bad, each trait adds what its value says for a kind, the detector adds a little for all of them, and the
likeliest kind wins. So no single oddity condemns, several that fit together do, and what was added is the reason given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly import calibration, detector, make_config
from recommender.engine.anomaly.found import Features, Found
from recommender.engine.errors import ModelMissing, NoData
from recommender.engine.options import Options

Say = Callable[[int, float, float], str]  # a row, its value, and the usual value -> a sentence

PRIOR = 0.01  # of all rows: how many are bad before anything is known of them
SUSPICIOUS = 0.5  # probability from which a row is told of
FEWEST = 50  # rows from which a detector learns what is usual; fewer are judged by their traits alone
LEARN_ROWS = 20_000  # rows that a detector learns from at most: what is usual needs no more
SCORE_ROWS = 100_000  # scored at once, to bound memory
DETECTOR = "isolation_forest"
TREES = 100  # of that one, the paper's number: what it adds is little, and time grows with them
CURVE, LEARNED = "curve/", "detector/"  # what the names of its arrays begin with
LEAST_STRANGE = 0.1  # probability of the detector's from which it is asked for its reasons
DETECTOR_WEIGHT = 3.5  # log-odds that it adds at most: too little to condemn on its own (p = .25 from PRIOR)
MOST_REASONS = 5
TELLING = 0.4  # log-odds from which a trait is worth a sentence
UNUSUAL = "unusual"  # the kind of a row that only the detector minds


@dataclass(frozen=True)
class Trait:
    """A feature of R rows, and what its values say: nothing up to `low`, all of its weight from `high` on."""

    name: str
    values: NDArray[Any]
    """(R,); NaN where missing, which says nothing."""
    say: Say
    weights: Mapping[str, float] = field(default_factory=dict)
    """By kind, the log-odds that it adds at most, below 0 where it speaks against; none: only the detector looks."""
    low: float = np.nan
    high: float = np.nan
    """Below `low` where small values are the suspicious ones."""
    tail: float = 0.0
    """Where above 0: `low` is at least this quantile of the rows', as shops differ, and `high` moves with it."""
    detected: bool = True
    """The detector looks at it too."""


@dataclass(frozen=True)
class Judged:
    features: Features
    probabilities: NDArray[np.float64]
    contributions: NDArray[np.float32]
    kinds: Sequence[str]
    usual: NDArray[np.float64]
    """(F,): medians."""
    spoken: NDArray[np.bool_]
    """(R, F): where a trait's value is one that it minds, so that its sentence fits."""
    arrays: Mapping[str, NDArray[Any]]
    detector: str

    @property
    def suspicious(self) -> NDArray[np.int64]:
        """Rows to tell of, the likeliest first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return order[self.probabilities[order] >= SUSPICIOUS]

    def found(self, traits: Sequence[Trait], **more: Any) -> Found:
        """With sentences for every suspicious row; `more` are the Found's further fields."""
        reasons = {row: self._sentences(traits, row) for row in self.suspicious.tolist()}
        return Found(
            self.features,
            self.probabilities,
            self.contributions,
            self.kinds,
            reasons,
            arrays=self.arrays,
            detector=self.detector,
            **more,
        )

    def _sentences(self, traits: Sequence[Trait], row: int) -> list[str]:
        values, weights = self.features.values[row], self.contributions[row]
        told = np.argsort(-weights, kind="stable")[:MOST_REASONS].tolist()
        told = [place for n, place in enumerate(told) if weights[place] >= (TELLING if n else 0)]
        return [
            traits[place].say(row, float(values[place]), float(self.usual[place]))
            if self.spoken[row, place]
            else _plainly(traits[place].name, float(values[place]), float(self.usual[place]))
            for place in told
        ]


def judge(
    ids: Sequence[str],
    traits: Sequence[Trait],
    options: Options,
    known: Mapping[str, NDArray[Any]] | None = None,
    *,
    prior: float = PRIOR,
    name: str = DETECTOR,
    weight: float = DETECTOR_WEIGHT,
    where: NDArray[np.bool_] | None = None,
) -> Judged:
    """What each row most looks like and how surely; `known` are the `arrays` of an earlier Judged of the same traits.

    The detector looks at the rows `where` (R,), all by default: those of which enough is known to be compared.
    Infinite values count as missing. Raises NoData without rows, ModelMissing where `known` are of other traits, and
    what the detector and `options.progress` raise.
    """
    if not len(ids):
        raise NoData("There is nothing to judge yet.")
    values = np.column_stack([np.asarray(trait.values, dtype=np.float32) for trait in traits])
    values[~np.isfinite(values)] = np.nan
    looked_at = [place for place, trait in enumerate(traits) if trait.detected]
    compared = np.arange(len(values)) if where is None else np.flatnonzero(where)
    features = Features(ids, tuple(trait.name for trait in traits), values)
    if known is None:
        learned = _limits(traits, values)
        learned |= _learn(values[compared][:, looked_at], name, options)
    else:
        if known["names"].astype(str).tolist() != list(features.names):
            raise ModelMissing("What was learned before is of other features.")
        learned = dict(known)
    options.progress(0.6, "weighing the evidence")
    kinds = sorted({kind for trait in traits for kind in trait.weights}) or [UNUSUAL]
    evidence = np.zeros((len(kinds), *values.shape), dtype=np.float32)
    spoken = np.zeros(values.shape, dtype=bool)
    for place, trait in enumerate(traits):
        if trait.weights:
            share = _ramp(values[:, place], float(learned["low"][place]), float(learned["high"][place]))
            spoken[:, place] = (share > 0) & (max(trait.weights.values()) > 0)
            for kind, most in trait.weights.items():
                evidence[kinds.index(kind), :, place] = share * most
    strange, parts = np.zeros(len(values), dtype=np.float32), np.zeros((len(values), len(looked_at)), dtype=np.float32)
    strange[compared], parts[compared] = _strange(values[compared][:, looked_at], learned, name)
    by_kind = evidence.sum(axis=2)
    winner = by_kind.argmax(axis=0)
    rows = np.arange(len(values))
    log_odds = np.log(prior / (1 - prior)) + by_kind[winner, rows].astype(np.float64) + weight * strange
    contributions = np.maximum(evidence[winner, rows], 0)
    contributions[:, looked_at] += (weight * strange)[:, None] * parts
    alone = by_kind[winner, rows] < weight * strange / 2
    options.progress(1.0, "judged")
    return Judged(
        features,
        1 / (1 + np.exp(-np.clip(log_odds, -50, 50))),
        contributions.astype(np.float32),
        np.where(log_odds < 0, "", np.where(alone, UNUSUAL, np.array(kinds)[winner])).tolist(),
        np.asarray(learned["usual"], dtype=np.float64),
        spoken,
        learned,
        name,
    )


def _plainly(name: str, value: float, usual: float) -> str:
    """What only the detector minds: a value that is uncommon together with the others."""
    words = name.replace("_", " ").capitalize()
    if np.isnan(value):
        return f"{words} is not known, which is uncommon beside the rest."
    return f"{words}: {value:,.4g}, uncommon beside the rest" + (
        "." if np.isnan(usual) else f"; usual is {usual:,.4g}."
    )


def _limits(traits: Sequence[Trait], values: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """The usual value of each trait, and from where to where its evidence grows."""
    usual, low, high = (np.full(len(traits), np.nan) for _ in range(3))
    for place, trait in enumerate(traits):
        there = values[:, place][~np.isnan(values[:, place])]
        usual[place] = np.median(there) if len(there) else np.nan
        low[place], high[place] = trait.low, trait.high
        if trait.tail and len(there) >= FEWEST and (floor := float(np.quantile(there, trait.tail))) > trait.low:
            low[place], high[place] = floor, trait.high + floor - trait.low
    names = np.array([trait.name for trait in traits], dtype=np.bytes_)
    return {"names": names, "usual": usual, "low": low, "high": high}


def _ramp(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """0 up to `low`, 1 from `high` on, straight between; 0 where missing."""
    share: NDArray[np.float32] = np.clip(np.nan_to_num((values - low) / (high - low), nan=0.0), 0, 1)
    return share


def _squeezed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same order with long tails drawn in, so that a few giants do not make all others look alike."""
    squeezed: NDArray[np.float32] = np.sign(values) * np.log1p(np.abs(values))
    return squeezed


def _learn(values: NDArray[np.float32], name: str, options: Options) -> dict[str, NDArray[Any]]:
    """The detector's arrays, and what scores are usual; nothing where there are too few rows, or all are alike."""
    filled = np.nan_to_num(values)
    if len(values) < FEWEST or not (filled != filled[0]).any():
        return {}
    sample = np.random.default_rng(options.seed).permutation(len(values))[:LEARN_ROWS]
    rows = _squeezed(values[np.sort(sample)])
    kept = np.flatnonzero(~np.isnan(rows).all(axis=0))  # what nobody has says nothing, and not every detector bears it
    config = _config(name)
    arrays = detector(name).fit(rows[:, kept], config, options)
    curve = calibration.fit(detector(name).open(arrays, config).scores(rows[:, kept]))
    return {"kept": kept, **_under(CURVE, curve), **_under(LEARNED, arrays)}


def _strange(
    values: NDArray[np.float32], learned: Mapping[str, NDArray[Any]], name: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How surely each row is unlike the rest, 0 to 1 (R,), and each feature's share in that (R, F)."""
    strange, parts = np.zeros(len(values), dtype=np.float32), np.zeros(values.shape, dtype=np.float32)
    if "kept" not in learned:
        return strange, parts
    kept, curve = learned["kept"], _of(CURVE, learned)
    opened = detector(name).open(_of(LEARNED, learned), _config(name))
    for low in range(0, len(values), SCORE_ROWS):
        rows = _squeezed(values[low : low + SCORE_ROWS][:, kept])
        strange[low : low + SCORE_ROWS] = calibration.probabilities(curve, opened.scores(rows))
    if len(odd := np.flatnonzero(strange > LEAST_STRANGE)):
        shares = np.maximum(opened.contributions(_squeezed(values[odd][:, kept])), 0)
        parts[np.ix_(odd, kept)] = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)
    return strange, parts


def _config(name: str) -> Any:
    return make_config(name, {"trees": TREES} if name == DETECTOR else {})


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {prefix + key: value for key, value in arrays.items()}


def _of(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
