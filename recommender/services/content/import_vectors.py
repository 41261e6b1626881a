"""Vectors that were made elsewhere: brought in from a file, served as they are, and taken back.

Where a modality has imported vectors, they are the modality: its space holds them alone, takes no words and pictures
from outside, and the encoding job leaves them as they are until they are removed.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from django.db import transaction
from django.utils import timezone
from numpy.typing import NDArray

from recommender.engine.encoders.store import IMPORTED
from recommender.models import Item, ItemVector
from recommender.services.content.item_vectors import as_bytes, save
from recommender.services.content.vector_files import Row
from recommender.services.errors import InvalidInput

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
LENGTHS = (2, 4096)  # numbers of a vector
BATCH = 1_000  # rows written at once
MAX_LISTED = 1_000  # rejected rows that are kept to be shown

UNKNOWN, REPEATED, NOT_FINITE, NOTHING = (
    "no item has this id", "its id came before", "it holds NaN or infinity", "it is all zeros",
)  # fmt: skip


@dataclass(frozen=True)
class Rejected:
    place: int
    item_id: str
    reason: str


@dataclass
class Imported:
    """What an import did."""

    name: str
    modality: str
    dimension: int = 0
    kept: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    """The first MAX_LISTED."""
    reasons: dict[str, int] = field(default_factory=dict)
    replaced: str = ""
    """The name of what was imported before, and is no more."""

    def reject(self, row: Row, reason: str) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if len(self.rejected) < MAX_LISTED:
            self.rejected.append(Rejected(row.place, row.item_id[:200], reason))


def import_vectors(
    rows: Iterable[Row], modality: str, name: str, progress: Callable[[int], None] = lambda done: None
) -> Imported:
    """Keep the rows' vectors as what the items have in `modality`; returns how it went, row by row.

    Vectors imported before under the same name stay, unless the file has their item; those of another name are taken
    back. The first usable row decides the length of all, where none is there. Raises InvalidInput, and what `rows` do.
    """
    if modality not in ItemVector.Modality.values:
        raise InvalidInput(f"The modality must be one of {', '.join(ItemVector.Modality.values)}.")
    if not NAME.fullmatch(name):
        raise InvalidInput("The name must be of a-z, 0-9, dots and dashes, at most 60.")
    before = current(modality)
    done = Imported(name, modality)
    if before == name:
        done.dimension = _dimension(modality, name)
    seen: set[str] = set()
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            _keep(batch, done, seen)
            progress(len(batch))
            batch = []
    _keep(batch, done, seen)
    progress(len(batch))
    if before and before != name and done.kept:
        done.replaced = before
        _take_back(modality, before)
    return done


def remove(modality: str) -> int:
    """Take imported vectors back; the next encoding makes its own again. Returns how many there were."""
    name = current(modality)
    return _take_back(modality, name) if name else 0


def current(modality: str) -> str:
    """The name of a modality's imported vectors; empty where it has none."""
    rows = ItemVector.objects.filter(modality=modality, encoder__startswith=IMPORTED)
    return (rows.values_list("encoder", flat=True).first() or "").removeprefix(IMPORTED)


def _take_back(modality: str, name: str) -> int:
    # Emptied rather than deleted, so that processes see that something has changed.
    rows = ItemVector.objects.filter(modality=modality, encoder=IMPORTED + name)
    return rows.update(encoder="", source_hash="", vector=None, error="", encoded_at=timezone.now())


def _dimension(modality: str, name: str) -> int:
    row = ItemVector.objects.filter(modality=modality, encoder=IMPORTED + name).first()
    return len(row.vector) // 4 if row and row.vector else 0


@transaction.atomic
def _keep(batch: Sequence[Row], done: Imported, seen: set[str]) -> None:
    ids = {row.item_id for row in batch if _may_be_id(row.item_id)}
    known = set(Item.objects.filter(pk__in=ids).values_list("pk", flat=True))
    now, made = timezone.now(), []
    for row in batch:
        reason = _wrong(row, known, seen, done)
        if reason:
            done.reject(row, reason)
            continue
        assert not isinstance(row.vector, str)
        done.dimension = len(row.vector)
        seen.add(row.item_id)
        vector = row.vector.astype(np.float64)
        stored = as_bytes((vector / np.linalg.norm(vector)).astype(np.float32))
        made.append(
            ItemVector(
                item_id=row.item_id,
                modality=done.modality,
                encoder=IMPORTED + done.name,
                vector=stored,
                encoded_at=now,
                checked_at=now,
            )
        )
    save(made)
    done.kept += len(made)


def _wrong(row: Row, known: set[str], seen: set[str], done: Imported) -> str:
    """Why a row cannot be kept; empty where it can."""
    if row.item_id not in known:
        return UNKNOWN
    if row.item_id in seen:
        return REPEATED
    if isinstance(row.vector, str):
        return row.vector
    vector: NDArray[np.float32] = row.vector
    if done.dimension and len(vector) != done.dimension:
        return f"it has {len(vector)} numbers, not {done.dimension}"
    if not LENGTHS[0] <= len(vector) <= LENGTHS[1]:
        return f"it has {len(vector)} numbers; {LENGTHS[0]} to {LENGTHS[1]} are allowed"
    if not np.isfinite(vector).all():
        return NOT_FINITE
    return "" if vector.any() else NOTHING


def _may_be_id(value: str) -> bool:
    """What no database refuses to be asked about."""
    return "\0" not in value and value.isprintable()
