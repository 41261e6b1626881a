"""Trainers: from interactions to learned arrays, and from arrays to answers.

A trainer is a class without state. `fit` learns in a worker and may import anything; `query` runs in a web process and
answers with NumPy alone.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import InvalidConfig
from recommender.engine.loading import load
from recommender.engine.options import Options, Progress, no_progress

TRAINERS = {
    "als": "recommender.engine.trainers.als.AlsTrainer",
    "auto": "recommender.engine.trainers.auto.AutoTrainer",
    "blend": "recommender.engine.trainers.blend.BlendTrainer",
    "bpr": "recommender.engine.trainers.bpr.BprTrainer",
    "ease": "recommender.engine.trainers.ease.EaseTrainer",
    "item2vec": "recommender.engine.trainers.item2vec.Item2vecTrainer",
    "item_knn": "recommender.engine.trainers.item_knn.ItemKnnTrainer",
    "lmf": "recommender.engine.trainers.lmf.LmfTrainer",
    "matrix": "recommender.engine.trainers.matrix.MatrixTrainer",
    "popularity": "recommender.engine.trainers.popularity.PopularityTrainer",
    "sasrec": "recommender.engine.trainers.sasrec.SasrecTrainer",
    "spectral": "recommender.engine.trainers.spectral.SpectralTrainer",
    "two_tower": "recommender.engine.trainers.two_tower.TwoTowerTrainer",
}

Arrays = Mapping[str, NDArray[Any]]


class Query(Protocol):
    """What was learned, ready to answer. Histories may be empty, repeat items, and hold negative weights."""

    item_vectors: NDArray[np.float32] | None
    """(N, D) where a score is the inner product of a history's vector and an item's; None where it is not."""

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        """(B, D): the histories' vectors. Only where item_vectors is not None."""

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """(B, N): every item's score for every history."""

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """(L, K): what each event of one history adds to the scores of K items; columns sum to those scores."""


@runtime_checkable
class KnowsNeighbours(Protocol):
    """What a query may also be, where items that go together are what was learned."""

    def neighbours(self, item_row: int, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Up to K other items, best first, with scores above 0: rows int32 (K,), scores float32 (K,)."""


@runtime_checkable
class Settles(Protocol):
    """What a trainer may also be, that chooses while it learns (which parts, which weights)."""

    @staticmethod
    def settled(arrays: Arrays, config: Any) -> Any:
        """The config that learns what was chosen once more, from other data, without choosing again."""

    @staticmethod
    def described(arrays: Arrays) -> dict[str, Any]:
        """What was chosen, as JSON: `trainer`; `parts` with their `weight`, where several are mixed; `users` that were
        asked; `tried`, best first, each with `name`, `ndcg@10` and `seconds`."""


class Trainer(Protocol):
    Config: type[Any]

    @staticmethod
    def fit(data: Interactions, config: Any, options: Options) -> Arrays:
        """Learn. Raises NoData, NotFinite, InvalidConfig, and whatever `options.progress` raises."""

    @staticmethod
    def query(arrays: Arrays, config: Any) -> Query:
        """Answer with what was learned; `arrays` may be memory-mapped and read-only."""


def trainer(name: str) -> type[Trainer]:
    """The trainer registered under `name`. Raises UnknownName."""
    kind: type[Trainer] = load(TRAINERS, name)
    return kind


def search_space(trainer_name: str) -> dict[str, tuple[Any, ...]]:
    """The values to try for each field; empty where the trainer names none."""
    return {
        field.name: tuple(field.metadata["tune"])
        for field in fields(trainer(trainer_name).Config)
        if "tune" in field.metadata
    }


def make_config(name: str, values: Mapping[str, Any]) -> Any:
    """The named trainer's config, frozen and checked. Raises UnknownName, InvalidConfig."""
    kind = trainer(name).Config
    known = {field.name for field in fields(kind)}
    if strange := sorted(set(values) - known):
        raise InvalidConfig(f"{name} has no setting {', '.join(strange)}; it has {', '.join(sorted(known))}.")
    for field in fields(kind):
        if isinstance(values.get(field.name), bool) and field.type not in (bool, "bool"):  # which Python takes for 1
            raise InvalidConfig(f"{name}: {field.name} must be a number.")
    try:
        return kind(**values)
    except TypeError as error:
        raise InvalidConfig(f"{name}: {error}.") from error


__all__ = [
    "TRAINERS",
    "Arrays",
    "KnowsNeighbours",
    "Options",
    "Progress",
    "Query",
    "Settles",
    "Trainer",
    "make_config",
    "no_progress",
    "search_space",
    "trainer",
]
