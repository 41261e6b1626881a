"""The Celery doors, without a broker; tests/workers has real ones."""

import logging

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from kombu.exceptions import OperationalError

from recommender import tasks
from recommender.models import Run
from recommender.services import training
from recsite.celery import app

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def called(monkeypatch) -> list[int]:
    """The runs for which a worker was called."""
    runs: list[int] = []
    monkeypatch.setattr(tasks.train, "apply_async", lambda args, **options: runs.extend(args))
    return runs


def test_a_call_that_the_broker_took_is_noted(called):
    run = training.request("popularity")
    assert tasks.wake(run.pk)
    assert called == [run.pk] and Run.objects.get().enqueued_at


@pytest.mark.parametrize("error", [OperationalError("refused"), OSError("unreachable")])
def test_a_call_that_the_broker_did_not_take_is_made_again(monkeypatch, called, error):
    def fail(*args, **options):
        raise error

    run = training.request("popularity")
    with monkeypatch.context() as broken:
        broken.setattr(tasks.train, "apply_async", fail)
        assert not tasks.wake(run.pk)
    assert Run.objects.get().status == "queued" and not Run.objects.get().enqueued_at
    tasks.sweep()
    assert called == [run.pk]


def test_the_sweep_calls_for_what_waits_and_only_once(called):
    run = training.request("popularity")
    tasks.sweep()
    tasks.sweep()
    assert called == [run.pk]


def test_the_nightly_run_is_asked_for_by_the_schedule(called):
    tasks.retrain()
    run = Run.objects.get()
    assert called == [run.pk] and run.requested_by == "schedule"


def test_the_nightly_run_leaves_an_active_one_alone(called, caplog):
    training.request("popularity")
    with caplog.at_level(logging.INFO):
        tasks.retrain()
    assert called == [] and Run.objects.count() == 1 and "already active" in caplog.text


def test_reviews_are_read_by_the_schedule(monkeypatch):
    done = []
    monkeypatch.setattr(tasks.opinions, "learn", lambda: done.append("learn"))
    monkeypatch.setattr(tasks.opinions, "judge_new", lambda: done.append("judge"))
    tasks.judge()
    assert done == ["learn", "judge"]


def test_a_soft_time_limit_fails_the_run_with_a_reason(monkeypatch):
    def too_long(row, monitor, out_of_time):
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(training.RunMonitor, "_beat", lambda monitor: None)
    monkeypatch.setattr(training, "_learn", too_long)
    tasks.train(training.request("popularity").pk)
    run = Run.objects.get()
    assert run.status == "failed" and "longer than it may" in run.error


def test_every_scheduled_task_exists_and_expires():
    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in app.tasks
        assert entry["options"]["expires"]


def test_training_has_a_queue_and_a_time_limit_of_its_own():
    assert app.amqp.router.route({}, "recommender.tasks.train")["queue"].name == "train"
    assert app.amqp.router.route({}, "recommender.tasks.sweep")["queue"].name == "default"
    assert tasks.train.soft_time_limit < tasks.train.time_limit
