"""Celery doors: they call services and enqueue what services found to do."""

import logging

from celery import Task, shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from kombu.exceptions import OperationalError

from recommender.services import opinions, training, trending
from recommender.services.content import encoding
from recommender.services.errors import EncodingActive, RunActive, ScreeningActive
from recommender.services.experiments import answers, life
from recommender.services.experiments import watch as experiments_watch
from recommender.services.screening import access_log, alerts, screenings
from recommender.services.search import spelling

log = logging.getLogger(__name__)


@shared_task(soft_time_limit=settings.TRAIN_TIME_LIMIT_S, time_limit=settings.TRAIN_TIME_LIMIT_S + 60)
def train(run_id: int) -> None:
    """Carry out a queued run."""
    training.run(run_id, out_of_time=SoftTimeLimitExceeded)


@shared_task(soft_time_limit=settings.TRAIN_TIME_LIMIT_S, time_limit=settings.TRAIN_TIME_LIMIT_S + 60)
def encode(encoding_id: int) -> None:
    """Carry out a queued encoding."""
    encoding.run(encoding_id, out_of_time=SoftTimeLimitExceeded)


@shared_task(soft_time_limit=settings.TRAIN_TIME_LIMIT_S, time_limit=settings.TRAIN_TIME_LIMIT_S + 60)
def screen(screening_id: int) -> None:
    """Carry out a queued screening."""
    screenings.run(screening_id, out_of_time=SoftTimeLimitExceeded)


@shared_task
def sweep() -> None:
    """Wake workers for jobs whose call or worker was lost; ask for the encoding and the screening that are due."""
    for run_id in training.recover():
        wake(run_id)
    for screening_id in screenings.recover():
        wake_screening(screening_id)
    if why := screenings.due():
        try:
            screening = screenings.request(requested_by="sweep", reason=why)
        except ScreeningActive as error:
            log.info("%s", error)
        else:
            wake_screening(screening.pk)
    for encoding_id in encoding.recover():
        wake_encoding(encoding_id)
    if encoding.due():
        try:
            row = encoding.request(changed_since_last=True, requested_by="sweep", reason="items were saved")
        except EncodingActive as error:
            log.info("%s", error)
        else:
            wake_encoding(row.pk)


@shared_task(soft_time_limit=settings.TRAIN_TIME_LIMIT_S, time_limit=settings.TRAIN_TIME_LIMIT_S + 60)
def judge() -> None:
    """Read the words of reviews that were just written, and learn to read them anew where there are many more."""
    opinions.learn()
    opinions.judge_new()


@shared_task(soft_time_limit=settings.TRAIN_TIME_LIMIT_S, time_limit=settings.TRAIN_TIME_LIMIT_S + 60)
def learn_words() -> None:
    """Write down the shop's words, by which search mends misspelled ones, where many are new."""
    spelling.refresh()


@shared_task
def alert() -> None:
    """Tell people of what detectors found since they were told last."""
    alerts.send_due()


@shared_task
def watch() -> None:
    """Stop experiments that are decided or over; roll the live run back where shoppers turn away from it."""
    life.tend()
    experiments_watch.look()


@shared_task(soft_time_limit=120, time_limit=180)
def trends() -> None:
    """Write down what is taken up lately, where anything happened since."""
    trending.refresh()


@shared_task
def prune() -> None:
    """Delete from the access log and from what was shown what is older than the settings keep."""
    access_log.prune()
    answers.prune()


@shared_task
def retrain() -> None:
    """The nightly run; nothing to do while another is active."""
    try:
        run = training.request(requested_by="schedule", reason="nightly retraining")
    except RunActive as error:
        log.info("%s", error)
    else:
        wake(run.pk)


def wake(run_id: int) -> bool:
    """Call a worker. False when the broker does not answer: the run stays queued and the sweep calls again."""
    if not _called(train, run_id, f"run {run_id}"):
        return False
    training.enqueued(run_id)
    return True


def wake_encoding(encoding_id: int) -> bool:
    """The same for an encoding."""
    if not _called(encode, encoding_id, f"encoding {encoding_id}"):
        return False
    encoding.enqueued(encoding_id)
    return True


def wake_screening(screening_id: int) -> bool:
    """The same for a screening."""
    if not _called(screen, screening_id, f"screening {screening_id}"):
        return False
    screenings.enqueued(screening_id)
    return True


def _called(task: Task, job_id: int, name: str) -> bool:
    try:
        task.apply_async(args=[job_id], retry=False)
    except (OperationalError, OSError) as error:
        log.warning("The broker does not answer; %s waits for the next sweep: %s", name, error)
        return False
    return True
