"""Pools of candidates for many users at once, as serving makes them for one: what a mixer is learned and judged by.

The model must not have seen what came next.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.ids import UNKNOWN
from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.data.vectors import unit
from recommender.engine.grouping.segments import favourites, segmented
from recommender.engine.index.exact import top_k
from recommender.engine.options import Progress, no_progress
from recommender.engine.ranking import sources
from recommender.engine.ranking.sources import DEPTHS, Pool, Ranked, merge, similar_to_recent, together_with_recent
from recommender.engine.ranking.together import Together
from recommender.engine.ranking.trends import trending
from recommender.engine.trainers import KnowsNeighbours, Query

BATCH_CELLS = 8 * 2**20  # scores held at once: 32 MiB


@dataclass(frozen=True)
class Segments:
    """Groups of shoppers: where they lie (S, D), what most of each chose (S, K; UNKNOWN where fewer) and how many did,
    and the items' vectors (N, D) of length 1 that a shopper is placed by."""

    centres: NDArray[np.float32]
    favourites: NDArray[np.int32]
    takers: NDArray[np.int32]
    vectors: NDArray[np.float32]

    @classmethod
    def of(cls, data: Interactions, units: NDArray[np.float32], seed: int, most: int) -> "Segments":
        """Learned from up to `most` shoppers, by vectors of length 1."""
        centres, _, takers = segmented(data, units, seed, most)
        return cls(centres, *favourites(takers), units)


def pools(
    query: Query,
    history: Interactions,
    user_rows: NDArray[np.int32],
    *,
    companions: Together | None = None,
    segments: Segments | None = None,
    contents: NDArray[np.float32] | None = None,
    newest: NDArray[np.int32] | None = None,
    depths: Mapping[str, int] = DEPTHS,
    progress: Progress = no_progress,
) -> list[Pool]:
    """A pool for each of these users, without what they have. `contents` float32 (N, F): what items say of
    themselves, of length 1 or 0. `newest` int32 (K,): what was added last then, the last first; None for what had its
    first event last, where times tell.

    Time O(users items), as for any judging of a model; memory is bounded.
    """
    told = history.histories(user_rows)
    everyone = _for_everyone(history, newest)
    neighbours = _neighbours(query, told, depths["similar"] + sources.RECENT)
    lines = [] if contents is None else _by_content(contents, told, depths["content"])
    result: list[Pool] = []
    size = max(1, BATCH_CELLS // max(1, history.shape[1]))
    for users, batch in told.batches(size):
        progress(users.start / max(1, len(told)), f"candidates of {users.start} of {len(told)} users")
        scores = np.array(query.scores(batch), dtype=np.float32)
        scores[~np.isfinite(scores)] = -np.inf
        scores[batch.user_rows, batch.item_rows] = -np.inf
        rows, best = top_k(scores, min(depths["model"], scores.shape[1]))
        for line, (own, weights, times) in enumerate(batch):
            one = Histories.single(own, weights, times)
            lists: dict[str, Ranked] = {"model": (rows[line][best[line] > -np.inf], best[line][best[line] > -np.inf])}
            if neighbours is not None:
                lists["similar"] = similar_to_recent(one, depths["similar"], neighbours)
            if companions is not None:
                lists["together"] = together_with_recent(one, depths["together"], companions.rows, companions.scores)
            if segments is not None:
                lists["cluster"] = _new_to(_favourites(segments, one), own, depths["cluster"])
            if lines:
                lists["content"] = lines[users.start + line]
            lists |= {name: _new_to(everyone[name], own, depths[name]) for name in everyone}
            result.append(merge(lists))
    return result


def _for_everyone(history: Interactions, newest: NDArray[np.int32] | None) -> dict[str, Ranked]:
    """What is popular, taken up lately, and new: the same for all but for what they have."""
    n = history.shape[1]
    takers = np.bincount(history.matrix.indices[history.matrix.data > 0], minlength=n).astype(np.float32)
    found = {"popular": _best(takers)}
    if history.timed:
        now, none = int(history.times.max()), np.zeros(len(history), dtype=np.int8)
        found["trending"] = _best(
            trending(history.item_rows, history.user_rows, none, history.weights, history.times, now, n)
        )
        if newest is None:
            first = np.full(n, np.iinfo(np.int64).max)
            np.minimum.at(first, history.item_rows, history.times)
            newest = _best(np.where(takers > 0, first - history.times.min() + 1, 0))[0]
    if newest is not None:
        found["new"] = newest, np.arange(len(newest), 0, -1, dtype=np.float32)
    return found


def _best(scores: NDArray[np.floating]) -> Ranked:
    """Those above 0, best first."""
    order = np.argsort(-scores, kind="stable").astype(np.int32)
    order = order[scores[order] > 0]
    return order, scores[order].astype(np.float32)


def _new_to(found: Ranked, own: NDArray[np.int32], k: int) -> Ranked:
    left = sources.without((found[0][: k + len(own)], found[1][: k + len(own)]), own)
    return left[0][:k], left[1][:k]


def _favourites(segments: Segments, told: Histories) -> Ranked:
    liked = told.weights > 0
    mean = told.weights[liked] @ segments.vectors[told.item_rows[liked]]
    if not len(segments.centres) or not np.any(mean):
        return sources.NOTHING
    line = int((segments.centres @ mean).argmax())
    known = segments.favourites[line] != UNKNOWN
    return segments.favourites[line][known], segments.takers[line][known].astype(np.float32)


def _neighbours(query: Query, told: Histories, k: int) -> sources.Neighbours | None:
    """Those of all items that someone's latest likes are, looked up once; None where the query knows none."""
    asked = np.unique(
        np.concatenate([np.zeros(0, np.int32), *(sources.recent(Histories.single(*one))[0] for one in told)])
    )
    if not len(asked):
        return None
    if query.item_vectors is not None:
        units = unit(np.asarray(query.item_vectors, dtype=np.float32))
        parts: list[tuple[NDArray[Any], NDArray[Any]]] = []
        size = max(1, BATCH_CELLS // max(1, len(units)))
        for start in range(0, len(asked), size):
            parts.append(top_k(units[asked[start : start + size]] @ units.T, min(k, len(units))))
        found, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    elif isinstance(query, KnowsNeighbours):
        found, scores = sources.one_by_one(query.neighbours)(asked, k)
    else:
        return None
    return lambda rows, k: (found[np.searchsorted(asked, rows), :k], scores[np.searchsorted(asked, rows), :k])


def _by_content(contents: NDArray[np.float32], told: Histories, k: int) -> list[Ranked]:
    """For each history, what says most alike of itself, by cosine to the weighed sum of what is liked."""
    result: list[Ranked] = []
    for _, batch in told.batches(max(1, BATCH_CELLS // max(1, len(contents)))):
        liked = np.maximum(batch.weights, 0)
        profiles = np.zeros((len(batch), contents.shape[1]), dtype=np.float32)
        for line, (start, stop) in enumerate(zip(batch.indptr[:-1], batch.indptr[1:], strict=True)):
            profiles[line] = liked[start:stop] @ contents[batch.item_rows[start:stop]]
        cosines = unit(profiles) @ contents.T
        cosines[batch.user_rows, batch.item_rows] = -np.inf
        rows, scores = top_k(cosines, min(k, len(contents)))
        result += [(line[worth > 0], worth[worth > 0]) for line, worth in zip(rows, scores, strict=True)]
    return result
