"""Anomaly detectors: what does not look like the rest, how surely, and by which of its features.

A detector is a class without state, like a trainer. `fit` learns from rows of numbers, unlabelled, and gives arrays;
`open` makes of them what scores rows. A subject is a kind of thing that detectors look at (profiles, reviews, ...): one
module each in `subjects/`, which makes features of columns, has detectors judge them, and says why in plain words.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import InvalidConfig
from recommender.engine.loading import load
from recommender.engine.options import Options

DETECTORS = {
    "autoencoder": "recommender.engine.anomaly.autoencoder.AutoencoderDetector",
    "dte": "recommender.engine.anomaly.dte.DteDetector",
    "ecod": "recommender.engine.anomaly.ecod.EcodDetector",
    "ensemble": "recommender.engine.anomaly.ensemble.EnsembleDetector",
    "isolation_forest": "recommender.engine.anomaly.isolation_forest.IsolationForestDetector",
    "knn": "recommender.engine.anomaly.knn.KnnDetector",
}

CLEAN: Mapping[str, Mapping[str, Any]] = {
    "knn": {"neighbours": 5},
    "dte": {"neighbours": 5, "skip": 0},
    "ensemble": {"settings": {"knn": {"neighbours": 5}, "dte": {"neighbours": 5, "skip": 0}}},
}
"""Settings for rows that are known to be usual. The defaults are for rows among which anomalies may hide, and stand
close together: there, a few neighbours vouch for each other."""

Arrays = Mapping[str, NDArray[Any]]


class Opened(Protocol):
    """What scores. Nothing in it changes; a row's score depends on that row and on what was learned, nothing else."""

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """(R,), finite, higher is more anomalous; `rows` (R, F) as those that were learned from. Raises Misfit."""

    def contributions(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(R, F): how much each feature has to do with a row's score; the largest is the first reason to give."""


class Detector(Protocol):
    Config: type[Any]

    @staticmethod
    def fit(rows: NDArray[np.float32], config: Any, options: Options) -> Arrays:
        """Learn what is usual from `rows` (R, F); NaN says that a value is missing, infinities count as the extremes.

        Learns the same from the same rows and seed. Memory beside the rows is at most one copy of them as float32 and
        what the config bounds. Raises NoData, Misfit, InvalidConfig, NotFinite, and whatever `options.progress` raises.
        """

    @staticmethod
    def open(arrays: Arrays, config: Any) -> Opened:
        """Ready to score; `arrays` may be memory-mapped and read-only."""


def detector(name: str) -> type[Detector]:
    """The detector registered under `name`. Raises UnknownName."""
    kind: type[Detector] = load(DETECTORS, name)
    return kind


def make_config(name: str, values: Mapping[str, Any]) -> Any:
    """The named detector's config, frozen and checked. Raises UnknownName, InvalidConfig."""
    kind = detector(name).Config
    known = {field.name for field in fields(kind)}
    if strange := sorted(set(values) - known):
        raise InvalidConfig(f"{name} has no setting {', '.join(strange)}; it has {', '.join(sorted(known)) or 'none'}.")
    try:
        return kind(**values)
    except TypeError as error:
        raise InvalidConfig(f"{name}: {error}.") from error
