"""The life of a screening: asked for by the clock, by a burst of events, or by staff; claimed by a worker; done.

Each training screens by itself, and leaves a row as well.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from recommender.conf import conf
from recommender.engine import artifact
from recommender.engine.options import Options
from recommender.models import Access, Event, Order, Review, Run, Screening
from recommender.services import jobs
from recommender.services.errors import InvalidInput, ScreeningActive, ScreeningOff, UnknownScreening
from recommender.services.run_monitor import RunMonitor
from recommender.services.screening import detection
from recommender.services.screening.detection import Outcome

STAGES = {"screen": 1}
"""The stages in order, with their usual part of the time; what it looks at now is in the message."""
KEEP_ROWS = 500  # screenings listed
RETRY_AFTER = timedelta(minutes=10)  # until the sweep asks again after one failed or was cancelled
BEFORE_SCREENED = ("", "load", "clean", "screening")  # stages of a run that has yet to screen


def request(subjects: tuple[str, ...] | list[str] = (), *, requested_by: str = "", reason: str = "") -> Screening:
    """Queue a pass over some subjects, or all that the settings name; the caller wakes a worker after the commit.

    Raises ScreeningOff, InvalidInput, ScreeningActive (context: screening_id).
    """
    settings = conf().screened
    if not settings.on:
        raise ScreeningOff("Set SCREENING to turn it on.")
    if strange := sorted(set(subjects) - set(settings.subjects)):
        named = ", ".join(settings.subjects)
        raise InvalidInput(f"{', '.join(strange)} cannot be screened; the settings name {named}.")
    try:
        with transaction.atomic():
            return Screening.objects.create(
                subjects=list(subjects),
                requested_by=requested_by[: Screening.MAX_REQUESTED_BY],
                reason=reason[: Screening.MAX_REASON],
            )
    except IntegrityError:
        found = active()
        if found is None:  # it ended in this very moment
            return request(subjects, requested_by=requested_by, reason=reason)
        raise ScreeningActive(
            f"Screening {found.pk} is {found.status}; wait for it or cancel it.", screening_id=found.pk
        ) from None


def active() -> Screening | None:
    return Screening.objects.filter(status__in=Screening.ACTIVE).first()


def last() -> Screening | None:
    """The latest pass that was done, a training's own among them."""
    return Screening.objects.filter(status=Screening.Status.SUCCEEDED).order_by("-id").first()


def get(screening_id: int) -> Screening:
    """Raises UnknownScreening."""
    row = Screening.objects.filter(pk=screening_id).first()
    if row is None:
        raise UnknownScreening(f"Screening {screening_id}.")
    return row


def cancel(screening_id: int) -> Screening:
    """Ask a pass to stop; the subjects that are done stay done. Raises UnknownScreening."""
    row = get(screening_id)
    jobs.cancel(row)
    return row


def enqueued(screening_id: int) -> None:
    """Note that the broker took the wake-up call."""
    jobs.enqueued(Screening, screening_id)


def recover() -> list[int]:
    """Find what was lost; returns the screenings to wake a worker for."""
    return jobs.recover(Screening)


def due() -> str:
    """Why another pass should be asked for now; empty where none should.

    A burst of new events since the last pass began, or the clock where anything happened since. A training that has
    yet to screen does it in its stead.
    """
    settings = conf().screened
    if not settings.on or not settings.subjects or active() is not None:
        return ""
    if Run.objects.filter(status__in=Run.ACTIVE, stage__in=BEFORE_SCREENED).exists():
        return ""
    ended = Screening.objects.exclude(status__in=Screening.ACTIVE).order_by("-id").first()
    bad = ended is not None and ended.status != Screening.Status.SUCCEEDED
    if bad and ended and ended.finished_at and timezone.now() - ended.finished_at < RETRY_AFTER:
        return ""
    done = last()
    if done is None or done.started_at is None:
        return "first" if settings.every_minutes and Event.objects.exists() else ""
    if settings.burst_events and _burst(settings.burst_events, done.started_at):
        return "burst"
    age = timezone.now() - done.started_at
    if settings.every_minutes and age >= timedelta(minutes=settings.every_minutes) and _anything(done.started_at):
        return "schedule"
    return ""


def run(screening_id: int, out_of_time: jobs.OutOfTime = ()) -> Screening | None:
    """Carry out a queued pass. None when it is not there, or not to be claimed (done, taken).

    `out_of_time` is what the caller's time limit raises in the midst of it.
    """
    row = jobs.claim(Screening, screening_id)
    if row is None:
        return None

    def work() -> str:
        artifact.sweep_aside(conf().artifacts_dir)
        with RunMonitor(row, STAGES) as monitor, monitor.stage("screen"):
            options = Options(
                seed=detection.SEED, threads=max(1, conf().threads - 1), device=conf().device, progress=monitor.progress
            )
            outcome = detection.screen(row.subjects, options=options, out_of_time=out_of_time)
            row.counts, row.failures, row.artifact = outcome.counts, outcome.failures, outcome.artifact
            row.message = told(outcome)
            monitor.save("counts", "failures", "artifact")
        return Screening.Status.SUCCEEDED

    too_long = "It took longer than it may; what is done stays. Screen fewer subjects, or raise TRAIN_TIME_LIMIT_S."
    if jobs.carry_out(row, work, out_of_time, too_long):
        _forget_old()
    return Screening.objects.filter(pk=screening_id).first()


def record(outcome: Outcome, started_at: datetime, **fields: Any) -> Screening:
    """Leave the row of a pass that was done within something else, such as a training."""
    now = timezone.now()
    row = Screening.objects.create(
        status=Screening.Status.SUCCEEDED,
        started_at=started_at,
        finished_at=now,
        heartbeat_at=now,
        share_done=1.0,
        tries=1,
        counts=outcome.counts,
        failures=outcome.failures,
        artifact=outcome.artifact,
        message=told(outcome)[: Screening.MAX_MESSAGE],
        **fields,
    )
    _forget_old()
    return row


def told(outcome: Outcome) -> str:
    """A pass in a sentence."""
    found, new, gone = (sum(one.get(key, 0) for one in outcome.counts.values()) for key in ("found", "new", "gone"))
    failed = f" Failed: {', '.join(outcome.failures)}." if outcome.failures else ""
    return f"{found:,} found, {new:,} of them new; {gone:,} no longer.{failed}"


def _burst(count: int, since: datetime) -> bool:
    """Whether so many events were recorded since then: looks at one event, by the order of recording."""
    at = Event.objects.order_by("-id").values_list("received_at", flat=True)[count - 1 : count].first()
    return at is not None and at >= since


def _anything(since: datetime) -> bool:
    """Whether something was recorded since then that detectors look at."""
    event = Event.objects.order_by("-id").values_list("received_at", flat=True).first()
    latest = [
        event,
        Review.objects.order_by("-id").values_list("created_at", flat=True).first(),
        Order.objects.aggregate(at=Max("placed_at"))["at"],
        Access.objects.aggregate(at=Max("minute"))["at"],
    ]
    return any(at is not None and at >= since - timedelta(minutes=1) for at in latest)


def _forget_old() -> None:
    kept = Screening.objects.order_by("-id").values_list("pk", flat=True)[KEEP_ROWS : KEEP_ROWS + 1].first()
    if kept is not None:
        Screening.objects.filter(pk__lte=kept).exclude(status__in=Screening.ACTIVE).delete()
