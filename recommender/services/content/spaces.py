"""One modality's vectors as a process knows them: those of the artifact, and over them what was encoded since."""

import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.content import Stored
from recommender.engine.data.ids import UNKNOWN
from recommender.engine.encoders import Opened
from recommender.engine.encoders.store import open_encoder
from recommender.engine.errors import RecommenderError
from recommender.engine.index.exact import top_k
from recommender.models import Item
from recommender.services.errors import InvalidInput

log = logging.getLogger(__name__)

OPEN_AGAIN_AFTER_S = 30.0  # seconds until an artifact or encoder that could not be opened is looked at again
SPARE = 32  # results asked of an index beyond those wanted, in place of those that are left out
ASKED_AT_ONCE = 10_000  # ids in one question to the database


class LazyEncoder:
    """An encoder, opened when something is first encoded with it: pages that only look for neighbours never pay."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._again_at = 0.0

    def get(self) -> Opened | None:
        if self._opened is None:
            with self._lock:
                if self._opened is None and time.monotonic() >= self._again_at:
                    try:
                        self._opened = open_encoder(self._path)
                    except (RecommenderError, OSError):
                        log.exception("%s cannot be opened; nothing can be encoded with it.", self._path.name)
                        self._again_at = time.monotonic() + OPEN_AGAIN_AFTER_S
        return self._opened


@dataclass(frozen=True, eq=False)
class Space:
    """The vectors of one modality, all made by one encoder. Thread-safe; nothing in it changes."""

    modality: str
    encoder_name: str
    """What made the vectors, as `ItemVector.encoder` says it; "fused" for those."""
    dimension: int
    """D."""
    _stored: Stored | None = None
    _fresh: Mapping[str, int] = field(default_factory=dict)
    """Items encoded since the artifact was written, and their rows in `_fresh_vectors`."""
    _fresh_vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))
    _hidden: Collection[int] = frozenset()
    """Rows of the artifact that are of an older version of their item, or of none."""
    _lazy: LazyEncoder | None = None

    @property
    def encoder(self) -> Opened | None:
        """None for "fused", for imported vectors, and where the encoder cannot be opened."""
        return self._lazy.get() if self._lazy else None

    @cached_property
    def item_ids(self) -> Sequence[str]:
        """(N,): items that have a vector, active or not."""
        kept: list[str] = []
        if self._stored is not None:
            there = np.ones(len(self._stored.ids), dtype=bool)
            there[list(self._hidden)] = False
            kept = self._stored.ids.ids(np.flatnonzero(there))
        return [*kept, *self._fresh]

    def sample(self, n: int) -> list[str]:
        """About n of `item_ids` from all over the space, without naming the others."""
        step = max(1, len(self) // n)
        kept: list[str] = []
        if self._stored is not None:
            rows = np.arange(0, len(self._stored.ids), step)
            kept = self._stored.ids.ids(rows[~np.isin(rows, list(self._hidden))])
        return [*kept, *list(self._fresh)[::step]]

    def __len__(self) -> int:
        return len(self._fresh) + (len(self._stored.ids) - len(self._hidden) if self._stored else 0)

    def encode(self, inputs: Sequence[Any]) -> NDArray[np.float32]:
        """(B, D): see engine/encoders. Raises InvalidInput for a space that takes nothing from outside."""
        encoder = self.encoder
        if encoder is None:
            raise InvalidInput(f"Nothing from outside can be encoded as {self.modality} here.")
        return encoder.encode(inputs)

    def vectors(self, item_ids: Sequence[str]) -> NDArray[np.float32]:
        """(B, D): the items' vectors, of length 1; 0 where an item has none."""
        found = np.zeros((len(item_ids), self.dimension), dtype=np.float32)
        if not item_ids:
            return found
        if self._stored is not None:
            rows = self._stored.ids.rows(item_ids)
            if self._hidden:
                rows[np.isin(rows, list(self._hidden))] = UNKNOWN
            known = rows != UNKNOWN
            found[known] = self._stored.vectors[rows[known]]
        if self._fresh:
            places = np.array([self._fresh.get(item_id, UNKNOWN) for item_id in item_ids])
            known = places != UNKNOWN
            found[known] = self._fresh_vectors[places[known]]
        return found

    def nearest(
        self, query: NDArray[np.float32], k: int, exclude: Collection[str] = ()
    ) -> tuple[list[str], NDArray[np.float32]]:
        """Up to K item ids with their cosines, best first, those of `exclude` left out. `query` (D,), of length 1.

        Deleted items are never among them. Raises InvalidInput for a query of another length.
        """
        query = np.asarray(query, dtype=np.float32)
        if query.shape != (self.dimension,):
            raise InvalidInput(f"A {self.modality} query has {self.dimension} numbers, not {query.shape}.")
        if k < 1 or not len(self):
            return [], np.zeros(0, dtype=np.float32)
        left_out = set(exclude)
        while True:
            ids, cosines = self._nearest(query, k, left_out)
            gone = set(ids) - _still_there(ids)
            if not gone:
                return ids, cosines
            left_out |= gone

    def _nearest(
        self, query: NDArray[np.float32], k: int, left_out: Collection[str]
    ) -> tuple[list[str], NDArray[np.float32]]:
        found: list[tuple[float, str]] = []
        if self._fresh:
            scores = self._fresh_vectors @ query
            rows, best = top_k(scores[None], min(len(scores), k + len(left_out)))
            names = list(self._fresh)
            found += [(float(s), names[r]) for r, s in zip(rows[0], best[0], strict=True) if names[r] not in left_out]
        if self._stored is not None and len(self._stored.ids):
            found += self._nearest_stored(self._stored, query, k, left_out)
        found.sort(key=lambda one: (-one[0], one[1]))
        del found[k:]
        return [item_id for _, item_id in found], np.array([score for score, _ in found], dtype=np.float32)

    def _nearest_stored(
        self, stored: Stored, query: NDArray[np.float32], k: int, left_out: Collection[str]
    ) -> list[tuple[float, str]]:
        """Asked for more and more, until enough remain of what comes back: few of those near are ever left out."""
        wanted = min(len(stored.ids), k + SPARE + min(len(left_out) + len(self._hidden), SPARE))
        shut = set(stored.ids.rows(left_out).tolist()) if left_out else set()
        while True:
            rows, scores = stored.index.search(query[None], wanted)
            found = zip(rows[0].tolist(), scores[0].tolist(), strict=True)
            kept = [(row, score) for row, score in found if row not in shut and row not in self._hidden]
            if len(kept) >= k or wanted >= len(stored.ids):
                chosen = kept[:k]
                names = stored.ids.ids([row for row, _ in chosen]) if chosen else []
                return [(score, name) for (_, score), name in zip(chosen, names, strict=True)]
            wanted = min(len(stored.ids), wanted * 4)


def _still_there(item_ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(item_ids), ASKED_AT_ONCE):
        part = item_ids[start : start + ASKED_AT_ONCE]
        found.update(Item.objects.filter(pk__in=part).order_by().values_list("pk", flat=True))
    return found
