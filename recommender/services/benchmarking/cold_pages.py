"""What newcomers cost and gain on whole pages: items kept out are ranked among all others, as a shop would show them.

Each user asked for anything gets a list of K items that they do not have: by the model alone, and with newcomers placed
by the map to its scores, as hopefully as each of `HOPES` (engine/content_map), on at most a share of the places.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine import content_map
from recommender.engine.content_map import ContentMap
from recommender.engine.evaluation.bootstrap import intervals
from recommender.engine.evaluation.protocol import BATCH_BYTES
from recommender.engine.index.exact import top_k
from recommender.engine.metrics import ndcg, recall
from recommender.engine.trainers import Options, make_config, trainer
from recommender.services.benchmarking.cold import Cold, Setup
from recommender.services.benchmarking.processes import Watch
from recommender.services.benchmarking.tables import figure, layout

HOPES = (0.0, 0.25, 0.5, 1.0)
DEPTH = 10  # candidates per place, so that newcomers beyond their share can make way


@dataclass(frozen=True)
class Pages:
    hope: float | None
    """None for the model alone."""
    ndcg: NDArray[np.float64]
    """(V,), as `recall`."""
    recall: NDArray[np.float64]
    newcomers: float
    """Their share of all places."""
    right: float
    """The share of newcomers shown that were wanted."""


def measure_pages(watch: Watch, cold: Cold, name: str, setup: Setup, share: float) -> list[Pages]:
    """At most `share` of the places go to newcomers. Empty where no map can be learned. Raises what fitting raises."""
    config, kind = make_config(name, (setup.configs or {}).get(name, {})), trainer(name)
    options = Options(setup.seed, setup.threads, held=cold.held, progress=watch(f"{name}: fitting"))
    query = kind.query(kind.fit(cold.train, config, options), config)
    contents = cold.train.item_features
    assert contents is not None and cold.asked is not None
    learned = content_map.learn(cold.train, query, contents, Options(setup.seed, setup.threads))
    if learned is None or not learned.arrays:
        return []
    maps = [None, *(ContentMap.open(learned.arrays, hope) for hope in HOPES)]
    placed = [None if one is None else one.place(query, contents[cold.item_rows]) for one in maps]
    n, k = cold.train.shape[1], setup.k
    new = np.zeros(n, dtype=bool)
    new[cold.item_rows] = True
    never = np.bincount(cold.history.item_rows, minlength=n) == 0
    users = np.unique(cold.asked.user_rows)
    found: list[list[tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]]] = [[] for _ in placed]
    progress, size = watch(f"{name}: pages"), max(1, BATCH_BYTES // (8 * n))
    for start in range(0, len(users), size):
        progress(start / len(users), "")
        some = users[start : start + size]
        histories = cold.history.histories(some)
        scores = np.array(query.scores(histories), dtype=np.float32)
        scores[:, never] = -np.inf
        truth, known = cold.asked.matrix[some].toarray() > 0, cold.history.matrix[some].toarray() != 0
        for place, one in zip(found, placed, strict=True):
            if one is not None:
                scores[:, cold.item_rows] = one.scores(query, histories)
            rows = _pages(np.where(known, -np.inf, scores), new, k, int(k * share))
            place.append((np.take_along_axis(truth, rows, axis=1), new[rows], truth.sum(axis=1)))
    progress(1.0, "")
    pages = []
    for hope, parts in zip((None, *HOPES), found, strict=True):
        hits, shown, wanted = (np.concatenate(column) for column in zip(*parts, strict=True))
        right = float(hits[shown].mean()) if shown.any() else 0.0
        pages.append(Pages(hope, ndcg(hits, wanted, k), recall(hits, wanted, k), float(shown.mean()), right))
    return pages


def _pages(scores: NDArray[np.float32], new: NDArray[np.bool_], k: int, most: int) -> NDArray[np.int32]:
    """(B, K): the best items, `most` of them new."""
    rows, _ = top_k(scores, DEPTH * k)
    over = new[rows] & (np.cumsum(new[rows], axis=1) > most)
    order = np.argsort(over, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, order, axis=1)


def pages_table(name: str, pages: Sequence[Pages], k: int) -> list[str]:
    header = [f"pages by {name}", f"ndcg@{k} [95 %]", f"recall@{k} [95 %]", "newcomers' places", "of them right"]
    cells = [
        [
            "without newcomers" if one.hope is None else f"hope {one.hope:g}",
            *(figure(intervals(values[:, None])[0]) for values in (one.ndcg, one.recall)),
            "" if one.hope is None else f"{100 * one.newcomers:.1f} %",
            "" if one.hope is None else f"{100 * one.right:.1f} %",
        ]
        for one in pages
    ]
    return layout(header, cells)
