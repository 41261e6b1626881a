"""Encoding items: one modality of the catalogue, looked at in batches that are committed one by one.

A batch that is done stays done: what a killed worker leaves, the next try passes over.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from django.db import IntegrityError, transaction
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.utils import timezone
from numpy.typing import NDArray

from recommender.engine.encoders import Opened
from recommender.engine.encoders.store import IMPORTED
from recommender.engine.errors import EndpointFailed, Unreadable
from recommender.engine.options import Progress
from recommender.models import Encoding, Item, ItemVector
from recommender.services.content import item_content
from recommender.services.content.item_content import Source

log = logging.getLogger(__name__)

BATCH = {"text": 256, "image": 32, "audio": 16}  # items encoded and committed at once; pictures and sounds are large
SCAN = 2_000  # items whose version is compared at once
DEADLY = "The worker that read it was lost; perhaps it was to blame. Save it in another format."
MAX_REFUSED = 1_000  # listed on the job; the rows have all of them


@dataclass
class Tally:
    """What one modality's pass did so far."""

    total: int
    encoded: int = 0
    unchanged: int = 0
    silent: int = 0
    """Items that give nothing to this modality."""
    refused: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        return self.encoded + self.unchanged + self.silent + self.refused

    def as_json(self) -> dict[str, int]:
        return {
            "items": self.total,
            "encoded": self.encoded,
            "unchanged": self.unchanged,
            "nothing": self.silent,
            "refused": self.refused,
        }

    def said(self) -> str:
        pace = self.done / max(time.monotonic() - self.began, 1e-3)
        return f"{self.done:,} of {self.total:,} items, {pace:,.0f} a second"


@dataclass(frozen=True)
class Pass:
    """One modality of one job."""

    job: Encoding
    modality: str
    encoder: str
    """Its fingerprint, as the rows have it."""
    opened: Opened
    items: QuerySet[Item]
    """Those to look at."""
    note: Callable[[Tally], None]
    """Told after each batch; raises Cancelled."""

    def carry_out(self, progress: Progress) -> Tally:
        """Raises Cancelled, and EndpointFailed for an encoder that lives elsewhere."""
        tally = Tally(self.items.count())
        size = 1 if self._careful else BATCH[self.modality]
        for changed, seen in self._scanned(tally):
            for start in range(0, len(changed), size):
                self._batch(changed[start : start + size], seen, tally)
                self.note(tally)
                progress(tally.done / max(tally.total, 1), tally.said())
            progress(tally.done / max(tally.total, 1), tally.said())
        return tally

    @property
    def _careful(self) -> bool:
        """After a worker was lost, files are read one by one, each noted before: one that a decoder dies of is met by
        two tries, and by no third."""
        return self.job.tries > 1 and self.modality != "text"

    def _scanned(self, tally: Tally) -> Iterator[tuple[list[str], Mapping[str, ItemVector]]]:
        """Items that may need encoding, and the rows that they have; the others are counted."""
        versions = self.items.order_by("pk").values_list("pk", "updated_at")
        last: str | None = None
        while chunk := list((versions if last is None else versions.filter(pk__gt=last))[:SCAN]):
            last = chunk[-1][0]
            rows = ItemVector.objects.filter(modality=self.modality, item_id__in=[pk for pk, _ in chunk])
            spoken = ExpressionWrapper(Q(vector__isnull=False), BooleanField())
            seen = {row.item_id: row for row in rows.defer("vector").annotate(speaks=spoken)}
            changed = []
            for pk, updated_at in chunk:
                row = seen.get(pk)
                if row is None or not self._is_settled(row, updated_at):
                    changed.append(pk)
                else:
                    self._count(row, tally)
            yield changed, seen

    def _is_settled(self, row: ItemVector, updated_at: datetime) -> bool:
        """Whether nothing is to be done, by what the row and the item's version say."""
        if row.encoder.startswith(IMPORTED):
            return True
        if row.encoder != self.encoder or row.checked_at != updated_at:
            return False
        if row.encoded_at >= self.job.created_at:  # by this job, before its worker was lost
            return True
        return not self.job.everything and not (row.error and self.job.since is None)

    def _count(self, row: ItemVector, tally: Tally) -> None:
        if row.error:
            tally.refused += 1
            self._refuse(row.item_id, row.error)
        elif not row.speaks:  # type: ignore[attr-defined]  # annotated by _scanned
            tally.silent += 1
        elif row.encoded_at >= self.job.created_at and row.encoder == self.encoder:
            tally.encoded += 1
        else:
            tally.unchanged += 1

    def _batch(self, item_ids: Sequence[str], seen: Mapping[str, ItemVector], tally: Tally) -> None:
        items = item_content.with_sources(Item.objects.filter(pk__in=item_ids), self.modality)
        made: list[ItemVector] = []
        same: list[tuple[str, datetime]] = []
        inputs, waiting = [], []
        for item in sorted(items, key=lambda item: item.pk):
            said, error = self._source(item)
            row = seen.get(item.pk)
            if row is not None and not error and self._is_same(row, said):
                same.append((item.pk, item.updated_at))
                tally.unchanged += 1
                continue
            new = ItemVector(
                item_id=item.pk, modality=self.modality, encoder=self.encoder, source_hash=said.digest,
                checked_at=item.updated_at, error=error,
            )  # fmt: skip
            made.append(new)
            if not error:
                if self._careful and said.data:
                    new.error = DEADLY
                    self._save([new], [])
                found, new.error = self._decoded(said)
                if found is not None and not new.error:
                    inputs.append(found)
                    waiting.append(new)
        if waiting:
            self._encode(inputs, waiting)
        for new in made:
            new.error = new.error[: ItemVector.MAX_ERROR]
            if new.error:
                tally.refused += 1
                self._refuse(new.item_id, new.error)
            elif new.vector is None:
                tally.silent += 1
            else:
                tally.encoded += 1
        tally.total -= len(item_ids) - len(made) - len(same)  # deleted meanwhile
        self._save(made, same)

    def _source(self, item: Item) -> tuple[Source, str]:
        try:
            return item_content.source(item, self.modality), ""
        except Unreadable as error:
            return Source("", b""), error.message

    def _is_same(self, row: ItemVector, said: Source) -> bool:
        same = row.encoder == self.encoder and row.source_hash == said.digest
        return same and not self.job.everything and not (row.error and self.job.since is None)

    def _decoded(self, said: Source) -> tuple[Any, str]:
        try:
            return item_content.decoded(said.data, self.modality), ""
        except Unreadable as error:
            return None, error.message
        except MemoryError:
            return None, "It needs more memory than there is; make it smaller."
        except Exception as error:  # a decoder's own fault, with a file nobody thought of: this item's alone
            log.exception("A %s could not be decoded.", self.modality)
            return None, f"It cannot be decoded ({type(error).__name__})."

    def _encode(self, inputs: Sequence[Any], waiting: Sequence[ItemVector]) -> None:
        try:
            vectors = self.opened.encode(inputs)
        except EndpointFailed:  # no item is to blame, and asking for each alone would take as long as there are items
            raise
        except Exception as error:
            if len(inputs) == 1:
                log.exception("%s could not be encoded.", waiting[0].item_id)
                waiting[0].error = f"It cannot be encoded ({type(error).__name__}: {error})."
                return
            for one, row in zip(inputs, waiting, strict=True):  # one of them is at fault
                self._encode([one], [row])
            return
        for vector, row in zip(vectors, waiting, strict=True):
            if not np.isfinite(vector).all():
                row.error = "Its vector is not finite."
            elif vector.any():
                row.vector = as_bytes(vector)

    def _refuse(self, item_id: str, error: str) -> None:
        listed = {"item": item_id, "modality": self.modality, "error": error}
        if len(self.job.refused) < MAX_REFUSED and listed not in self.job.refused:
            self.job.refused.append(listed)

    def _save(self, made: Sequence[ItemVector], same: Sequence[tuple[str, datetime]]) -> None:
        try:
            self._write(made, same)
        except IntegrityError:  # an item was deleted while it was encoded
            there = set(Item.objects.filter(pk__in=[row.item_id for row in made]).values_list("pk", flat=True))
            self._write([row for row in made if row.item_id in there], same)

    @transaction.atomic
    def _write(self, made: Sequence[ItemVector], same: Sequence[tuple[str, datetime]]) -> None:
        now = timezone.now()  # within the transaction: it is what others look for, once they can see the rows
        for row in made:
            row.encoded_at = now
        save(made)
        for item_id, updated_at in same:
            ItemVector.objects.filter(item_id=item_id, modality=self.modality).update(checked_at=updated_at)


def save(rows: Sequence[ItemVector]) -> None:
    """Write rows over those that their items have."""
    ItemVector.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["item", "modality"],
        update_fields=["encoder", "source_hash", "vector", "error", "encoded_at", "checked_at"],
    )


def as_bytes(vector: NDArray[np.float32]) -> bytes:
    """A vector as a row has it."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()
