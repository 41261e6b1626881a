"""What staff watch: how far a run is, which run serves, and what the shop recorded lately."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.utils import timezone

from recommender.conf import conf
from recommender.models import Encoding, Event, Item, Publication, Run, Screening, Visitor
from recommender.models.jobs import Job
from recommender.services import publishing, serving, training
from recommender.services.content import encoding_work
from recommender.services.run_monitor import HEARTBEAT_S
from recommender.services.screening import screenings

STALE_AFTER_S = 5 * HEARTBEAT_S  # one late heartbeat is a busy database, five are a worker in trouble
WAITS_LONG_S = 30.0  # a free worker takes a run at once; after this long there is none
GUESS_FROM_SHARE, GUESS_FROM_S = 0.03, 3.0  # before that, a guess at the time left is only noise
DAYS = 14  # of events on the dashboard


def progress(run: Job, now: datetime | None = None) -> dict[str, Any]:
    """How far a run, or an encoding, is, as the progress page and its JSON show it."""
    now = now or timezone.now()
    active = run.is_active
    until = run.finished_at or now
    elapsed_s = (until - run.started_at).total_seconds() if run.started_at else None
    age_s = (now - run.heartbeat_at).total_seconds() if active and run.heartbeat_at else None
    stale = run.status == Run.Status.RUNNING and (age_s is None or age_s > STALE_AFTER_S)
    left_s = _left_s(run, elapsed_s)
    note, warning = _note(run, now, age_s, stale)
    return {
        "run": run.pk,
        "kind": _kind(run),
        "status": run.status,
        "status_label": run.get_status_display(),
        "active": active,
        "stage": run.stage,
        "stages": _stages(run),
        "share": round(run.share_done, 4),
        "percent": percent(run.share_done),
        "message": run.message,
        "worker": run.worker or "none yet",
        "heartbeat_age_s": None if age_s is None else round(max(age_s, 0.0), 1),
        "heartbeat": "none yet" if age_s is None else f"{span(max(age_s, 0.0))} ago",
        "stale": stale,
        "elapsed_s": None if elapsed_s is None else round(elapsed_s, 1),
        "elapsed": "not started" if elapsed_s is None else span(elapsed_s),
        "time_left_s": None if left_s is None else round(left_s),
        "time_left": _time_left(run, left_s),
        "tries": run.tries,
        "cancelling": active and run.cancel_requested,
        "note": note,
        "warning": warning,
    }


def span(seconds: float) -> str:
    """A length of time in words: 0.4 s, 8 s, 2 min 5 s, 1 h 3 min."""
    if 0.05 <= seconds < 1:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def percent(share: float) -> int:
    """Rounded down, so that 100 means done."""
    return min(100, max(0, int(share * 100 + 1e-9)))


def _stages(run: Job) -> list[dict[str, Any]]:
    """Every stage in order: done with its seconds, under way (or where an ended run stopped), or still to come."""
    seconds = {stage["stage"]: stage["seconds"] for stage in run.stages}
    here = "now" if run.status == Run.Status.RUNNING else "stopped"
    states = []
    for name in _stages_of(run):
        state = "done" if name in seconds else here if name == run.stage and run.status != Run.Status.QUEUED else "todo"
        took = span(seconds[name]) if name in seconds else ""
        states.append({"name": name, "label": name.capitalize(), "state": state, "took": took})
    return states


def _stages_of(job: Job) -> Iterable[str]:
    if isinstance(job, Encoding):
        return encoding_work.STAGES
    return screenings.STAGES if isinstance(job, Screening) else training.STAGES


def _left_s(run: Job, elapsed_s: float | None) -> float | None:
    """The time left if the rest goes at the pace so far."""
    if run.status != Run.Status.RUNNING or elapsed_s is None:
        return None
    if run.share_done < GUESS_FROM_SHARE or elapsed_s < GUESS_FROM_S:
        return None
    return elapsed_s * (1 - run.share_done) / run.share_done


def _time_left(run: Job, left_s: float | None) -> str:
    if not run.is_active:
        return "ended"
    if run.status == Run.Status.QUEUED:
        return "waiting"
    if left_s is None:
        return "time left: too early to say"
    if left_s < 10:
        return "less than 10 s left"
    if left_s < 90:
        return f"about {round(left_s, -1):.0f} s left"
    return f"about {span(round(left_s / 60) * 60)} left"


def _note(run: Job, now: datetime, age_s: float | None, stale: bool) -> tuple[str, bool]:
    """What staff should know of an active run, and whether it is a warning."""
    kind, worker = _kind(run), "a training worker" if isinstance(run, Run) else "an encoding worker"
    if run.status == Run.Status.QUEUED:
        if run.enqueued_at is None:
            return f"The broker has not taken the call for this {kind}. It waits until the broker answers.", True
        # Not since enqueued_at: the sweep calls again and again, and each call moves it.
        waits_s = (now - max(run.created_at, run.heartbeat_at or run.created_at)).total_seconds()
        if waits_s > WAITS_LONG_S:
            return f"No worker has taken it for {span(waits_s)}. Is {worker} running?", True
        return "Waiting for a worker.", False
    if run.status != Run.Status.RUNNING:
        return "", False
    if stale:
        since = "No heartbeat yet." if age_s is None else f"No heartbeat for {span(age_s)}."
        ends = "fails" if run.tries >= conf().max_tries else "goes back to the queue"
        return f"{since} After {conf().lost_after_s:.0f} s without one the {kind} {ends}.", True
    if run.cancel_requested:
        return "Stopping: the worker hears of it within seconds.", False
    if run.tries > 1:
        return f"Try {run.tries} of {conf().max_tries}: an earlier worker was lost.", False
    return "", False


def _kind(job: Job) -> str:
    return str(job._meta.verbose_name)


@dataclass(frozen=True)
class Day:
    day: date
    events: int


@dataclass(frozen=True)
class Overview:
    """The site's state at a glance."""

    publication: Publication | None
    """The newest entry of the history: what is live and since when, or that it was withdrawn."""
    usable: bool
    """Whether this process can open the live run's artifact; popular items serve otherwise."""
    target: Run | None
    """Where a roll-back would lead, looked up only where no run is live."""
    active: Run | None
    latest: Run | None
    days: list[Day]
    items: int
    visitors: int
    events_24h: int

    @property
    def live(self) -> Run | None:
        return self.publication.run if self.publication else None


def overview(now: datetime | None = None) -> Overview:
    now = now or timezone.now()
    publication = Publication.objects.select_related("run", "by").order_by("-id").first()
    live = publication.run if publication else None
    return Overview(
        publication=publication,
        usable=live is not None and serving.live().model is not None,
        target=publishing.roll_back_target() if publication and live is None else None,
        active=training.active_run(),
        latest=Run.objects.exclude(status__in=Run.ACTIVE).defer("metrics", "gate").order_by("-id").first(),
        days=events_per_day(now),
        items=Item.objects.filter(active=True).count(),
        visitors=Visitor.objects.count(),
        events_24h=Event.objects.filter(occurred_at__gt=now - timedelta(days=1), occurred_at__lte=now).count(),
    )


def events_per_day(now: datetime, days: int = DAYS) -> list[Day]:
    """Events of each of the last `days` days in the site's zone, today last; days without events count 0."""
    today = timezone.localtime(now).date()
    found = []
    for day in (today - timedelta(days=back) for back in reversed(range(days))):
        start, end = _midnight(day), min(_midnight(day + timedelta(days=1)), now + timedelta(microseconds=1))
        # A count within the index for each day: grouping by date would call a date function for every event.
        found.append(Day(day, Event.objects.filter(occurred_at__gte=start, occurred_at__lt=end).count()))
    return found


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
