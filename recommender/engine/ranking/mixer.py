"""One score for each candidate of a pool, by what its sources are worth; the weights are learned on held-out events.

    s(c) = sum_s a_s score_s(c) + b_s 61 / (61 + place_s(c)) + d_s [c in list s]        a, b, d >= 0

so that a score tells how sure a source is, a place how it compares, and presence that it was named at all. A source
speaks most for a candidate where its three terms add most. Learning is in `mixing.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import ArtifactDamaged
from recommender.engine.learning.trees import Trees
from recommender.engine.ranking.fuse import RANK_CONSTANT
from recommender.engine.ranking.sources import MOST_PLACES, SOURCES, Pool

KINDS = ("weights", "lambdamart", "first", "reciprocal")
"""Learned weights; learned trees; the model's list and then, in the order of SOURCES, what the others have; and, where
nothing was learned, places weighed as usual (Cormack, Clarke, Büttcher 2009) beside the model's own score."""
TERMS = 3  # of one source: score, place, presence
USUAL: Mapping[str, float] = {
    "model": 8, "similar": 2, "together": 2, "content": 1, "cluster": 1, "trending": 0.5, "new": 0.5, "popular": 0.5,
}  # fmt: skip
"""What a place in each list is worth where nothing was learned."""
USUAL_SCORE = 8.0  # what the model's own score is worth then: places do not tell how far it is from one to the next
LEAST = np.float32(1e-6)  # of a score: no candidate is worth nothing
# By place; the last, which -1 finds, is what a list does not hold.
PLACE_WORTH = np.append((RANK_CONSTANT + 1) / (RANK_CONSTANT + 1 + np.arange(MOST_PLACES + 1)), 0).astype(np.float32)

Arrays = Mapping[str, NDArray[Any]]
Scored = tuple[NDArray[np.float32], NDArray[np.int8]]


def _usual() -> NDArray[np.float32]:
    weights = np.zeros((TERMS, len(SOURCES)), dtype=np.float32)
    weights[1] = [USUAL[name] for name in SOURCES]
    weights[0, SOURCES.index("model")] = USUAL_SCORE
    return weights / weights.sum()


@dataclass(frozen=True, eq=False)
class Mixer:
    kind: str = "reciprocal"
    """One of KINDS."""
    weights: NDArray[np.float32] = field(default_factory=_usual)
    """(3, S): what a score, a place and presence are worth; with a sum of 1."""
    trees: Trees | None = None

    @cached_property
    def wanted(self) -> frozenset[str]:
        """The sources that count; the others are worth asking only where these leave places empty."""
        if self.kind == "first":
            return frozenset({"model"})
        if self.trees is not None:
            return frozenset(SOURCES)
        return frozenset(SOURCES[place] for place in np.flatnonzero(self.weights.sum(axis=0)))

    def score(self, pool: Pool) -> Scored:
        """(C,) in (0, 1], and (C,) the source, a place in SOURCES, that speaks most for each."""
        if self.kind == "first":
            return _first(pool)
        worth = pool.scores * self.weights[0]
        worth += PLACE_WORTH[pool.places] * self.weights[1]
        if self.weights[2].any():
            worth += (pool.places >= 0) * self.weights[2]
        source = worth.argmax(axis=1).astype(np.int8)
        if self.trees is None:
            return np.minimum(np.maximum(worth.sum(axis=1), LEAST), 1), source
        return np.asarray(1 / (1 + np.exp(-self.trees.scores(terms(pool)))), dtype=np.float32), source


def _first(pool: Pool) -> Scored:
    """The model's in their order, all above the others, which stand in the order of their first source and its places.

    A source with little to say is seldom first; what only it has stands below what the better ones have."""
    if not len(pool):
        return np.zeros(0, np.float32), np.zeros(0, np.int8)
    source = (pool.places >= 0).argmax(axis=1)
    lines = np.arange(len(pool))
    place = PLACE_WORTH[pool.places[lines, source]]
    own = 0.9 * pool.scores[lines, source] + 0.1 * place  # by how sure the model is; places tell ties apart
    others = (len(SOURCES) - 1 - source + place) / len(SOURCES)
    scores = np.where(source == 0, 1 + own, others) / 2
    return np.maximum(scores, LEAST).astype(np.float32), source.astype(np.int8)


def terms(pool: Pool) -> NDArray[np.float32]:
    """What weights multiply and trees are told, (C, 3 S)."""
    return np.concatenate((pool.scores, PLACE_WORTH[pool.places], pool.places >= 0), axis=1, dtype=np.float32)


def open(arrays: Arrays | None = None, facts: Mapping[str, Any] | None = None) -> Mixer:
    """The mixer of a run's arrays and facts, as `mixing.learn` gave them; by usual ranks where there are none.

    Sources that were not known then are worth nothing; trees, which must know all, are then done without. Raises
    ArtifactDamaged.
    """
    if not facts:
        return Mixer()
    try:
        kind, named, stored = facts["kind"], list(facts["sources"]), dict(arrays or {})
        if kind not in KINDS:
            raise ArtifactDamaged(f"{kind!r} is no kind of mixer.")
        if "weights" not in stored:
            return Mixer(kind)
        known = np.asarray(stored["weights"], dtype=np.float32)
        if known.shape != (TERMS, len(named)) or not np.isfinite(known).all() or (known < 0).any():
            raise ArtifactDamaged(f"The mixer's weights are {known.shape}, or no weights.")
        weights = np.zeros((TERMS, len(SOURCES)), dtype=np.float32)
        for place, name in enumerate(SOURCES):
            if name in named:
                weights[:, place] = known[:, named.index(name)]
        if not weights.any():
            raise ArtifactDamaged("The mixer's weights are all 0.")
        trees = Trees.of(stored) if kind == "lambdamart" and tuple(named) == SOURCES else None
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactDamaged(f"The mixer cannot be read: {error}.") from error
    return Mixer("weights" if kind == "lambdamart" and trees is None else kind, weights / weights.sum(), trees)
