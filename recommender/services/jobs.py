"""The life that trainings and encodings share: claimed by one worker, alive by its heartbeat, ended once."""

import logging
import socket
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from recommender.conf import conf
from recommender.engine.errors import Cancelled, RecommenderError
from recommender.models.jobs import Job

log = logging.getLogger(__name__)

WAKE_AGAIN_AFTER = timedelta(seconds=30)  # a queued job whose wake-up call may have been lost is called again
Status = Job.Status
J = TypeVar("J", bound=Job)
OutOfTime = type[Exception] | tuple[type[Exception], ...]


def rows(kind: type[J]) -> QuerySet[J]:
    return kind._default_manager.all()


def claim(kind: type[J], job_id: int) -> J | None:
    """Take a queued job as this process's. None when it is not there, or not to be claimed (done, taken)."""
    claimed = rows(kind).filter(pk=job_id, status=Status.QUEUED, cancel_requested=False)
    now = timezone.now()
    if not claimed.update(
        status=Status.RUNNING,
        started_at=now,
        heartbeat_at=now,
        worker=socket.gethostname(),
        tries=F("tries") + 1,
        stages=[],
        share_done=0,
        error="",
    ):
        return None
    return rows(kind).get(pk=job_id)


def carry_out(row: Job, work: Callable[[], str], out_of_time: OutOfTime, too_long: str) -> bool:
    """Do a claimed job's work, which gives the status that it ends with; failures end it with their reason.

    `out_of_time` is what the caller's time limit raises in the midst of it, `too_long` the reason then. True when it
    came to its end by itself.
    """
    name = str(row._meta.verbose_name).capitalize()
    try:
        status = work()
    except Cancelled:
        end(row, Status.CANCELLED)
    except out_of_time:
        end(row, Status.FAILED, too_long)
    except RecommenderError as error:
        end(row, Status.FAILED, error.message)
    except OSError as error:
        log.exception("%s %s could not write its files.", name, row.pk)
        reason = f"Its files cannot be read or written; is the disk full? ({error.strerror or error})"
        end(row, Status.FAILED, reason)
    except Exception as error:
        log.exception("%s %s failed.", name, row.pk)
        where = traceback.extract_tb(error.__traceback__)[-1]
        end(row, Status.FAILED, f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})")
    else:
        if end(row, status, row.error):
            return True
        end(row, Status.CANCELLED)
    return False


def end(row: Job, status: str, error: str = "") -> bool:
    """Note how it ended. False when it is no longer this try's to end, or was to be cancelled before it ended well."""
    mine = rows(type(row)).filter(pk=row.pk, status=Status.RUNNING, tries=row.tries)
    if status in (Status.SUCCEEDED, Status.REFUSED):
        mine, row.share_done = mine.filter(cancel_requested=False), 1.0
    row.status, row.error, row.finished_at = status, error, timezone.now()
    return bool(mine.update(status=status, error=error, finished_at=row.finished_at, share_done=row.share_done))


def cancel(row: Job) -> None:
    """Ask it to stop. A queued one ends at once, a running one within seconds; an ended one stays as it is."""
    mine = rows(type(row)).filter(pk=row.pk)
    mine.filter(status__in=Job.ACTIVE).update(cancel_requested=True)  # from here on nobody claims it
    mine.filter(status=Status.QUEUED).update(status=Status.CANCELLED, finished_at=timezone.now())
    row.refresh_from_db()


def enqueued(kind: type[Job], job_id: int) -> None:
    """Note that the broker took the wake-up call."""
    rows(kind).filter(pk=job_id).update(enqueued_at=timezone.now())


def recover(kind: type[Job], before_requeue: Callable[[], Any] = lambda: None) -> list[int]:
    """Find what was lost; returns the jobs to wake a worker for.

    A running job without a heartbeat goes back to the queue, or fails after max_tries; one that was to be cancelled is
    cancelled. A queued job whose wake-up call the broker may have lost is called again: claiming it is atomic, so that
    a second call does no harm. `before_requeue` may clear away what those leave that end here.
    """
    now = timezone.now()
    lost = (
        rows(kind)
        .filter(status=Status.RUNNING)
        .filter(Q(heartbeat_at=None) | Q(heartbeat_at__lt=now - timedelta(seconds=conf().lost_after_s)))
    )
    lost.filter(cancel_requested=True).update(status=Status.CANCELLED, finished_at=now)
    lost.filter(tries__gte=conf().max_tries).update(
        status=Status.FAILED, finished_at=now, error=f"Its worker was lost {conf().max_tries} times."
    )
    before_requeue()
    lost.update(status=Status.QUEUED, enqueued_at=None, message="Its worker was lost; waiting for another.")
    quiet = Q(enqueued_at=None) | Q(enqueued_at__lt=now - WAKE_AGAIN_AFTER)
    return list(rows(kind).filter(quiet, status=Status.QUEUED).values_list("pk", flat=True))
