"""What staff should know of the vectors: how many there are, by which encoder, how fresh, and what was refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from recommender.conf import conf
from recommender.engine.encoders.store import IMPORTED
from recommender.models import Encoding, ItemVector
from recommender.services.content import encoding, vectors

LABELS = {"text": "Words", "image": "Pictures", "audio": "Sounds"}
MOST_COUNTED = 10_000  # refused items; more is said as "10,000+"


@dataclass(frozen=True)
class ModalityState:
    modality: str
    label: str
    on: bool
    encoder: str
    """What serves; empty where nothing does."""
    wanted: str
    """What the settings name; empty where the modality is off."""
    vectors: int
    refused: int
    newest: datetime | None
    failed: str
    """Why the encoder of the settings cannot be used."""

    @property
    def imported(self) -> str:
        """The name of vectors that were brought from elsewhere; empty where they were made here."""
        return self.encoder.removeprefix(IMPORTED) if self.encoder.startswith(IMPORTED) else ""

    @property
    def encoder_name(self) -> str:
        return self.imported or self.encoder.partition(":")[0]

    @property
    def changing(self) -> bool:
        """Whether the next encoding brings another encoder."""
        return bool(self.on and not self.imported and not self.failed and self.encoder_name != self.wanted)


@dataclass(frozen=True)
class ContentState:
    modalities: list[ModalityState]
    active: Encoding | None
    latest: Encoding | None
    """The newest that has ended."""
    artifact: str

    @property
    def said(self) -> list[ModalityState]:
        """Those that have vectors."""
        return [one for one in self.modalities if one.vectors]

    @property
    def newest(self) -> datetime | None:
        return max((one.newest for one in self.modalities if one.newest), default=None)


def state() -> ContentState:
    last = encoding.last_success()
    known: Mapping[str, Any] = last.encoders if last else {}
    on = conf().encoders_on
    return ContentState(
        modalities=[_modality(m, on.get(m, ("", {}))[0], known.get(m, {})) for m in LABELS],
        active=encoding.active(),
        latest=Encoding.objects.exclude(status__in=Encoding.ACTIVE).order_by("-id").first(),
        artifact=vectors.live_content(),
    )


def refused(modality: str = "") -> QuerySet[ItemVector, dict[str, Any]]:
    """{item, modality, error} of what cannot be encoded now, of one modality or of all."""
    # Written out, as SQLite uses a partial index only where it sees the condition itself.
    rows = ItemVector.objects.extra(where=["error > ''"]).order_by("modality", "item_id")
    rows = rows.filter(modality=modality) if modality else rows
    return rows.values("modality", "error", "item")


def _modality(modality: str, wanted: str, known: Mapping[str, Any]) -> ModalityState:
    space = vectors.space(modality)
    rows = ItemVector.objects.filter(modality=modality)
    return ModalityState(
        modality=modality,
        label=LABELS[modality],
        on=bool(wanted),
        encoder=space.encoder_name if space else "",
        wanted=wanted,
        vectors=len(space) if space else 0,
        refused=refused(modality).order_by()[:MOST_COUNTED].count(),
        newest=rows.order_by("-encoded_at").values_list("encoded_at", flat=True).first(),
        failed=known.get("failed", "") if wanted else "",
    )
