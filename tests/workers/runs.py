"""Asking for runs and waiting for them, as the tests of real workers do."""

import time

from recommender import tasks
from recommender.models import Run
from recommender.services import training
from tests.workers.conftest import eventually

ENDLESS = {"factors": 2048, "iterations": 1000}  # takes a minute or more; nobody waits for it


def asked_for(trainer: str = "popularity", config: dict | None = None) -> Run:
    run = training.request(trainer, config)
    assert tasks.wake(run.pk)
    return run


def ended(run: Run, within_s: float = 30) -> Run:
    def over() -> bool:
        run.refresh_from_db()
        return not run.is_active

    eventually(over, within_s, lambda: f"{run} is {run.status} in {run.stage}: {run.message}")
    return run


def in_the_midst(run: Run) -> Run:
    def learning() -> bool:
        run.refresh_from_db()
        return run.stage == "fit" and run.status == "running"

    eventually(learning, 30, lambda: f"{run} is {run.status} in {run.stage}: {run.error}")
    return run


def swept(settings) -> None:
    """What beat has a worker do every few seconds, with little patience for silent workers."""
    settings.RECOMMENDER = {**settings.RECOMMENDER, "lost_after_s": 0.5}
    time.sleep(0.6)
    tasks.sweep()
