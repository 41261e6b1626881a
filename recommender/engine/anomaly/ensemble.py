"""Several detectors' judgement in one: their ranks, averaged.

A part's score becomes its rank among the scores of the rows learned from, so that no part's unit decides: the share of
them that score as high. What is averaged is -ln of that share, as in Fisher's (1932) way of joining tests, so that one
in a thousand by one part is not lost in being usual by another. The share is looked up in the scores that were learned:
a row's score depends on it and on them alone. Beyond the highest, shares go on falling.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly import DETECTORS, Arrays, Opened, detector, make_config
from recommender.engine.anomaly.neighbours import searching
from recommender.engine.anomaly.rows import sample, shape
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options

RANKED = 50_000  # rows at most whose scores are a part's distribution
USUAL = ("isolation_forest", "ecod", "knn", "dte", "autoencoder")
STEADY: Mapping[str, Mapping[str, Any]] = {"isolation_forest": {"trees": 300}}
"""Settings of parts that are not their own defaults: a forest of more trees is hardly better, but steadier by seed."""
LEAST = 1e-300


@dataclass(frozen=True)
class EnsembleConfig:
    parts: tuple[str, ...] = USUAL
    """Detectors; each counts the same. The usual ones are all there are, chosen by no data: what suits one set fails
    another. Three of them, the best on half of ADBench's sets, were hardly better than a forest on the rest."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of parts, by name, beside STEADY and their defaults."""

    def __post_init__(self) -> None:
        known = sorted(set(DETECTORS) - {"ensemble"})
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts or len(set(self.parts)) < len(self.parts) or set(self.parts) - set(known):
            raise InvalidConfig(f"parts must be one or more different ones of {', '.join(known)}.")
        if not isinstance(self.settings, Mapping) or set(self.settings) - set(self.parts):
            raise InvalidConfig("settings has settings by part, for parts that are there.")
        for name in self.parts:
            self.of(name)

    def of(self, name: str) -> Any:
        """The config of the part. Raises InvalidConfig."""
        return make_config(name, {**STEADY.get(name, {}), **self.settings.get(name, {})})


class EnsembleDetector:
    Config = EnsembleConfig

    @staticmethod
    def fit(rows: NDArray[np.float32], config: EnsembleConfig, options: Options) -> Arrays:
        """The parts' arrays, as PART/NAME; `PART/ranked` float64 (Q,): the part's scores, rising."""
        from threadpoolctl import threadpool_limits

        shape(rows)
        found: dict[str, NDArray[Any]] = {}
        judged = sample(rows, RANKED, options.seed)
        for number, name in enumerate(config.parts):
            own = _within(options, name, number, len(config.parts))
            arrays = detector(name).fit(rows, config.of(name), own)
            with searching(options.threads), threadpool_limits(limits=options.threads, user_api="blas"):
                scores = detector(name).open(arrays, config.of(name)).scores(judged)
            found |= {f"{name}/{key}": array for key, array in arrays.items()}
            found[f"{name}/ranked"] = np.sort(scores)
        options.progress(1.0, "done")
        return found

    @staticmethod
    def open(arrays: Arrays, config: EnsembleConfig) -> "OpenedEnsemble":
        return OpenedEnsemble(arrays, config)


class OpenedEnsemble:
    def __init__(self, arrays: Arrays, config: EnsembleConfig) -> None:
        self.parts: list[tuple[Opened, NDArray[np.float64]]] = []
        for name in config.parts:
            own = {key.split("/", 1)[1]: array for key, array in arrays.items() if key.startswith(f"{name}/")}
            self.parts.append((detector(name).open(own, config.of(name)), own["ranked"]))

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """The mean of -ln(share as high): about 1 for the usual row; 7 for one in a thousand by all parts."""
        return np.asarray(np.mean([-np.log(share(part.scores(rows), ranked)) for part, ranked in self.parts], axis=0))

    def contributions(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The parts' contributions, as shares of what speaks against a row, each times the part's own -ln(share as
        high): who finds a row usual says little about why it is not. They sum to the score at most."""
        summed = np.zeros(rows.shape, dtype=np.float64)
        for part, ranked in self.parts:
            against = np.maximum(part.contributions(rows), 0).astype(np.float64)
            against /= np.maximum(against.sum(axis=1, keepdims=True), LEAST)
            summed -= against * np.log(share(part.scores(rows), ranked))[:, None]
        return (summed / len(self.parts)).astype(np.float32)


def share(scores: NDArray[np.float64], ranked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of `ranked` (Q,), rising, the share that is as high as each of `scores`, in (0, 1): equal ones count half, and
    the row itself is one more of them. Falls in a line between two; beyond the highest, towards 0."""
    count = len(ranked)
    low, high = np.searchsorted(ranked, scores, side="left"), np.searchsorted(ranked, scores, side="right")
    place = (low + high) / 2
    inside = (low == high) & (low > 0) & (low < count)
    below, above = ranked[np.maximum(low - 1, 0)], ranked[np.minimum(low, count - 1)]
    gap = np.maximum(above - below, LEAST)[inside]
    place[inside] += (scores[inside] - below[inside]) / gap - 0.5
    shares = (count - place + 0.5) / (count + 1)
    beyond, width = low == count, max(float(ranked[-1] - ranked[count // 2]), LEAST)
    shares[beyond] *= width / (width + np.minimum(scores[beyond] - ranked[-1], 1e200 * width))
    return np.asarray(shares)


def _within(options: Options, name: str, number: int, parts: int) -> Options:
    """The options of one part: its progress is a part of the whole, and its checkpoints lie in their own folder."""
    from dataclasses import replace

    def progress(share: float, message: str) -> None:
        options.progress((number + share) / parts, f"{name}: {message}")

    folder = None if options.checkpoints is None else options.checkpoints / name
    return replace(options, progress=progress, checkpoints=folder)
