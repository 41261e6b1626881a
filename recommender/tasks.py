"""Celery doors: they call services and enqueue what services found to do."""

import logging

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from kombu.exceptions import OperationalError

from recommender.services import training
from recommender.services.errors import RunActive

log = logging.getLogger(__name__)


@shared_task(soft_time_limit=settings.TRAIN_TIME_LIMIT_S, time_limit=settings.TRAIN_TIME_LIMIT_S + 60)
def train(run_id: int) -> None:
    """Carry out a queued run."""
    training.run(run_id, out_of_time=SoftTimeLimitExceeded)


@shared_task
def sweep() -> None:
    """Wake workers for runs whose call or worker was lost."""
    for run_id in training.recover():
        wake(run_id)


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
    try:
        train.apply_async(args=[run_id], retry=False)
    except (OperationalError, OSError) as error:
        log.warning("The broker does not answer; run %s waits for the next sweep: %s", run_id, error)
        return False
    training.enqueued(run_id)
    return True
