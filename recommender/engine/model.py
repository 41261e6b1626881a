"""A model: what a trainer learned, tied to ids, an index, popular items and companions, in one artifact.

    items.npy                bytes (N,), the item ids in row order
    learned/*.npy            the trainer's arrays
    popularity.npy           float32 (N,), distinct users per item
    popularity_order.npy     int32 (N,), items by falling popularity
    together/{rows,scores}   (N, K), see ranking/together
    unit_vectors.npy         float32 (N, D), item vectors of length 1, where the trainer has vectors
    index/ similar/          indexes over the item vectors and over the unit vectors
    further/*.npy            what else belongs to the run, such as groups

Users are not stored: a history's vector is computed when it is asked about (fold-in), which answers for newcomers too
and leaves nothing of a person to erase.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommender.engine.artifact import Artifact, open_artifact, write
from recommender.engine.data.ids import UNKNOWN, Ids
from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.data.vectors import unit
from recommender.engine.errors import ArtifactDamaged, RecommenderError
from recommender.engine.index import Index, IndexOptions, choose, index_kind
from recommender.engine.index.exact import top_k
from recommender.engine.ranking.sources import among
from recommender.engine.ranking.together import bought_together
from recommender.engine.trainers import Arrays, KnowsNeighbours, Options, Query, make_config, trainer
from recommender.engine.trainers.popularity import PopularityConfig, PopularityTrainer

NOT_SERVED = frozenset({"user_vectors"})  # learned, but dropped when written
BESIDE = IndexOptions(sums=False, k=35, recall=0.9)  # of an item's nearest ones, the furthest of which say little
REMEMBERED = 30_000  # items whose nearest ones a process keeps at hand: 15 MB for 35 of each
Ranking = tuple[NDArray[np.int32], NDArray[np.float32]]  # rows and scores, best first


@dataclass(frozen=True)
class LiveModel:
    """An opened model. Thread-safe: nothing in it changes but what it remembers, and its arrays are read-only."""

    artifact: Artifact
    items: Ids
    query: Query
    index: Index | None
    """Over the item vectors; None where the trainer has none."""
    similar_index: Index | None
    _beside: dict[tuple[int, int], Ranking] = field(default_factory=dict, repr=False, compare=False)

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self.artifact.manifest

    def __len__(self) -> int:
        return len(self.items)

    def warm(self) -> None:
        """Have at hand what the first answer would wait for: of a million vectors, some tenths of a second."""
        if len(self):
            rows, _ = self.popular(1)
            self.recommend(Histories.single(rows), 1)

    def recommend(self, histories: Histories, k: int, exclude_rows: ArrayLike = ()) -> Ranking:
        """The K best items for each history: rows int32 (B, K), scores float32 (B, K); K = min(k, N).

        `exclude_rows` are offered to nobody. Where fewer than K items remain, rows end in UNKNOWN and scores in -inf.
        A history that says nothing (empty, or only dislikes) may score all items alike: ask `popular` instead.
        """
        k = min(k, len(self.items))
        banned = np.unique(np.asarray(exclude_rows, dtype=np.int32))
        wanted = k + len(banned)
        if self.index is None or wanted > len(self.items) // 2:
            rows, scores = self._scan(histories, k, banned)
        else:
            rows, scores = self.index.search(self.query.vectors(histories), wanted)
            if len(banned):
                scores[among(rows.ravel(), banned).reshape(rows.shape)] = -np.inf
                order = np.argsort(scores == -np.inf, axis=1, kind="stable")[:, :k]
                rows, scores = np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
        rows[scores == -np.inf] = UNKNOWN
        return rows, scores

    def similar(self, item_row: int, k: int) -> Ranking:
        """Up to K other items by the cosine of their vectors, above 0, or the neighbours that were learned; companions
        where there is neither.

        rows int32 (K,), scores float32 (K,).
        """
        if self.similar_index is not None:
            unit = np.asarray(self.artifact.arrays["unit_vectors"][item_row])
            if unit.any():
                rows, scores = self.similar_index.search(unit[None], k + 1)
                others = (rows[0] != item_row) & (scores[0] > 0)
                return rows[0][others][:k], scores[0][others][:k]
        elif isinstance(self.query, KnowsNeighbours):
            found, weights = self.query.neighbours(item_row, k)
            if len(found):
                return found, weights
        return self.together(item_row, k)

    def beside(self, item_rows: NDArray[np.int32], k: int) -> Ranking:
        """For R items, the K rows whose vectors have the largest cosines, the item itself among them: int32 and float32
        (R, K). Needs `similar_index`. A shop's shoppers have the same items in mind, so what was found is remembered.
        """
        assert self.similar_index is not None
        keys = [(row, k) for row in item_rows.tolist()]
        known = {key: found for key in keys if (found := self._beside.get(key)) is not None}
        missing = [key for key in dict.fromkeys(keys) if key not in known]
        if missing:
            units = np.asarray(self.artifact.arrays["unit_vectors"][[row for row, _ in missing]])
            rows, scores = self.similar_index.search(units, k)
            known |= {key: (rows[place].copy(), scores[place].copy()) for place, key in enumerate(missing)}
            for key in list(islice(self._beside, max(0, len(self._beside) + len(missing) - REMEMBERED))):
                self._beside.pop(key, None)
            self._beside.update((key, known[key]) for key in missing)
        return np.stack([known[key][0] for key in keys]), np.stack([known[key][1] for key in keys])

    def together(self, item_row: int, k: int) -> Ranking:
        """Up to K companions of this item and their log-likelihood ratios: rows int32 (K,), scores float32 (K,)."""
        rows = np.asarray(self.artifact.arrays["together/rows"][item_row, :k])
        known = rows != UNKNOWN
        return rows[known], np.asarray(self.artifact.arrays["together/scores"][item_row, :k])[known]

    def popular(self, k: int) -> Ranking:
        """The K = min(k, N) items with most distinct users: rows int32 (K,), scores float32 (K,)."""
        rows = np.asarray(self.artifact.arrays["popularity_order"][:k])
        return rows, np.asarray(self.artifact.arrays["popularity"][rows])

    def _scan(self, histories: Histories, k: int, banned: NDArray[np.int32]) -> Ranking:
        scores = np.array(self.query.scores(histories))  # a copy: queries may answer with read-only views
        scores[:, banned] = -np.inf
        return top_k(scores, k)


def write_model(
    root: Path,
    name: str,
    trainer_name: str,
    config: Any,
    arrays: Arrays,
    data: Interactions,
    *,
    purchases: Interactions | None = None,
    index: str = "auto",
    manifest: Mapping[str, Any] | None = None,
    further: Mapping[str, NDArray[Any]] | None = None,
) -> Path:
    """Write what `trainer_name` learned from `data` as `root/name`; returns its path.

    `purchases`, over the same items, are what bought-together counts; without them there are no companions. `index` is
    a name in INDEXES, or "auto" for what suits the catalogue's size. `manifest` adds whatever should be remembered:
    cutoff, seed, metrics, gate; `further` arrays are kept beside the model's own under "further/". Raises NoData,
    UnknownName, FileExistsError.
    """
    learned = {key: array for key, array in arrays.items() if key not in NOT_SERVED}
    vectors = trainer(trainer_name).query(learned, config).item_vectors
    popularity = PopularityTrainer.fit(data, PopularityConfig(), Options())["popularity"]
    stored: dict[str, NDArray[Any]] = {
        "items": data.items.encoded,
        **{f"learned/{key}": array for key, array in learned.items()},
        "popularity": popularity,
        "popularity_order": np.argsort(-popularity, kind="stable").astype(np.int32),
    }
    companions = bought_together(data.where(np.zeros(len(data), np.bool_)) if purchases is None else purchases)
    stored |= {"together/rows": companions.rows, "together/scores": companions.scores}
    stored |= {f"further/{key}": array for key, array in (further or {}).items()}
    index_name = None
    if vectors is not None:
        index_name = choose(len(vectors)) if index == "auto" else index
        stored["unit_vectors"] = unit_vectors = unit(vectors)

    def build(directory: Path) -> None:
        if vectors is None or index_name is None:
            return
        kind = index_kind(index_name)
        for folder, indexed in (("index", vectors), ("similar", unit_vectors)):
            (directory / folder).mkdir()
            kind.build(indexed, directory / folder, IndexOptions() if folder == "index" else BESIDE)

    facts = {"trainer": trainer_name, "config": asdict(config), "index": index_name, "counts": _counts(data)}
    return write(root, name, stored, {**(manifest or {}), **facts}, build)


def open_model(path: Path, verify: bool = True) -> LiveModel:
    """Open what `write_model` wrote, memory-mapped. Raises ArtifactMissing, ArtifactDamaged."""
    artifact = open_artifact(path, verify)
    try:
        facts, stored = artifact.manifest, artifact.arrays
        name = facts["trainer"]
        learned = {key.removeprefix("learned/"): array for key, array in stored.items() if key.startswith("learned/")}
        query = trainer(name).query(learned, make_config(name, facts["config"]))
        index = similar = None
        if facts["index"] is not None and query.item_vectors is not None:
            kind = index_kind(facts["index"])
            index = kind.open(artifact.directory("index"), query.item_vectors)
            similar = kind.open(artifact.directory("similar"), stored["unit_vectors"])
        return LiveModel(artifact, Ids(stored["items"]), query, index, similar)
    except ArtifactDamaged:
        raise
    except (RecommenderError, KeyError) as error:  # whole, but written by code that knew other trainers or settings
        raise ArtifactDamaged(f"{path.name} does not fit this code: {error}. Train again.") from error


def _counts(data: Interactions) -> dict[str, int]:
    users, items = data.shape
    return {"events": len(data), "users": users, "items": items}
