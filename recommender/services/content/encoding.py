"""The life of an encoding: asked for, claimed by a worker; encoders learned, items encoded, artifact written."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from recommender.conf import conf
from recommender.engine import artifact
from recommender.engine.encoders import store
from recommender.models import Encoding, Item, ItemVector
from recommender.services import jobs
from recommender.services.content import content_artifacts, fine_tuning, vectors
from recommender.services.content.encoding_work import MARGIN, STAGES, Work
from recommender.services.errors import EncodingActive, UnknownEncoding
from recommender.services.run_monitor import RunMonitor

RETRY_AFTER = timedelta(minutes=10)  # until the sweep asks again after an encoding failed or was cancelled
KEEP_ROWS = 500  # encodings listed; a shop that is edited all day makes hundreds


def request(
    everything: bool = False,
    *,
    changed_since_last: bool = False,
    tune: str = "",
    requested_by: str = "",
    reason: str = "",
) -> Encoding:
    """Queue an encoding; the caller wakes a worker once the row is committed.

    It looks at every item and encodes those that changed; with `everything`, all of them, by encoders learned anew;
    with `changed_since_last`, it looks at those alone that were saved since the last encoding. `tune` names a modality
    whose encoder first learns from what shoppers take together. Raises EncodingActive (context: encoding_id),
    InvalidInput.
    """
    if tune:
        fine_tuning.check(tune)
    last = last_success()
    since = last.started_at - MARGIN if changed_since_last and last and last.started_at else None
    try:
        with transaction.atomic():
            return Encoding.objects.create(
                everything=everything,
                since=since,
                tune=tune,
                requested_by=requested_by[: Encoding.MAX_REQUESTED_BY],
                reason=reason[: Encoding.MAX_REASON],
            )
    except IntegrityError:
        found = active()
        if found is None:  # it ended in this very moment
            return request(everything, changed_since_last=changed_since_last, requested_by=requested_by, reason=reason)
        raise EncodingActive(
            f"Encoding {found.pk} is {found.status}; wait for it or cancel it.", encoding_id=found.pk
        ) from None


def active() -> Encoding | None:
    return Encoding.objects.filter(status__in=Encoding.ACTIVE).first()


def last_success() -> Encoding | None:
    return Encoding.objects.filter(status=Encoding.Status.SUCCEEDED).order_by("-id").first()


def get(encoding_id: int) -> Encoding:
    """Raises UnknownEncoding."""
    row = Encoding.objects.filter(pk=encoding_id).first()
    if row is None:
        raise UnknownEncoding(f"Encoding {encoding_id}.")
    return row


def cancel(encoding_id: int) -> Encoding:
    """Ask an encoding to stop; what it has encoded stays. Raises UnknownEncoding."""
    row = get(encoding_id)
    jobs.cancel(row)
    return row


def enqueued(encoding_id: int) -> None:
    """Note that the broker took the wake-up call."""
    jobs.enqueued(Encoding, encoding_id)


def recover() -> list[int]:
    """Find what was lost; returns the encodings to wake a worker for."""
    return jobs.recover(Encoding)


def due() -> bool:
    """Whether an item was saved since it was looked at, or the settings name other encoders than those that serve.

    False for a while after an encoding failed or was cancelled, so that neither is repeated every few seconds.
    """
    on = conf().encoders_on
    last = last_success()
    if not on or Encoding.objects.filter(status__in=Encoding.ACTIVE).exists():
        return False
    ended = Encoding.objects.filter(pk__gt=last.pk if last else 0, tune="").order_by("-id").first()
    if ended and ended.finished_at and timezone.now() - ended.finished_at < RETRY_AFTER:
        return False
    if last is None or last.started_at is None:
        return Item.objects.exists()
    served = {m: (one["name"], one["config"]) for m, one in last.encoders.items() if one["name"]}
    if served != _wanted():
        return True
    recent = Item.objects.filter(updated_at__gte=last.started_at - MARGIN)
    for modality, one in last.encoders.items():
        if one.get("encoder") and not one["encoder"].startswith(store.IMPORTED):
            seen = ItemVector.objects.filter(
                item_id=OuterRef("pk"), modality=modality, checked_at=OuterRef("updated_at")
            )
            if recent.filter(~Exists(seen)).exists():
                return True
    return False


def run(
    encoding_id: int, out_of_time: jobs.OutOfTime = (), told: Callable[[Encoding], None] = lambda row: None
) -> Encoding | None:
    """Carry out a queued encoding. None when it is not there, or not to be claimed (done, taken).

    `out_of_time` is what the caller's time limit raises in the midst of it; `told` hears how far it is.
    """
    row = jobs.claim(Encoding, encoding_id)
    if row is None:
        return None

    def work() -> str:
        artifact.sweep_aside(conf().artifacts_dir)
        with RunMonitor(row, STAGES, lambda: told(row)) as monitor:
            Work(row, monitor, out_of_time).carry_out()
        return Encoding.Status.SUCCEEDED

    too_long = "It took longer than it may. What was encoded stays; the next one goes on. Or raise TRAIN_TIME_LIMIT_S."
    if jobs.carry_out(row, work, out_of_time, too_long):
        content_artifacts.sweep(row.encoders)
        _forget_old()
    vectors.look_again()
    return Encoding.objects.filter(pk=encoding_id).first()


def undo_tuning(modality: str) -> None:
    """Have the next encoding take the modality's encoder as it was before shoppers taught it. Raises EncodingActive."""
    if found := active():
        raise EncodingActive(f"Encoding {found.pk} is {found.status}.", encoding_id=found.pk)
    newest = Encoding.objects.exclude(encoders={}).order_by("-id").first()
    if newest and newest.encoders.get(modality, {}).pop("tuned", None) is not None:
        newest.encoders[modality]["learned_from"] = -1  # so that it learns again
        newest.save(update_fields=["encoders"])


def _wanted() -> dict[str, tuple[str, Any]]:
    return {modality: (name, dict(values)) for modality, (name, values) in conf().encoders_on.items()}


def _forget_old() -> None:
    """Keep the newest rows, those with the artifacts, and those that say what was fine-tuned."""
    kept = Encoding.objects.order_by("-id").values_list("pk", flat=True)[KEEP_ROWS : KEEP_ROWS + 1].first()
    if kept is not None:
        Encoding.objects.filter(pk__lte=kept, artifact="", tune="").exclude(status__in=Encoding.ACTIVE).delete()
