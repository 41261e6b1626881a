"""Runs whose worker was lost: found, given to another, and fenced off from the one that wakes up after all."""

import logging
import threading
import time
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.forms import model_to_dict
from django.utils import timezone

from recommender.conf import conf
from recommender.engine.trainers import no_progress
from recommender.models import Publication, Run
from recommender.services import jobs, serving, training
from recommender.services.run_monitor import RunMonitor
from tests.services.conftest import SMALL, carried_out

# The heartbeat writes on a connection of its own, so that what the test writes must be committed.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database, pytest.mark.usefixtures("quick_heart")]


def silent(run: Run, seconds: float = 120, **fields) -> None:
    """As a killed worker leaves it."""
    Run.objects.filter(pk=run.pk).update(
        status="running", heartbeat_at=timezone.now() - timedelta(seconds=seconds), **fields
    )


def test_a_lost_run_goes_back_to_the_queue_and_ends_well(shop):
    run = training.request("popularity")
    silent(run, tries=1, stages=[{"stage": "load"}], share_done=0.4)
    assert training.recover() == [run.pk]
    assert Run.objects.get().status == "queued"
    ended = training.run(run.pk)
    assert (ended.status, ended.tries, len(ended.stages)) == ("succeeded", 2, len(training.STAGES))


def test_a_run_whose_heart_beats_is_not_lost(shop):
    run = training.request("popularity")
    silent(run, seconds=conf().lost_after_s / 2, tries=1)
    assert training.recover() == []
    assert Run.objects.get().status == "running"


def test_a_run_is_not_started_for_ever(shop):
    run = training.request("popularity")
    silent(run, tries=conf().max_tries)
    assert training.recover() == []
    run.refresh_from_db()
    assert (run.status, run.error) == ("failed", "Its worker was lost 3 times.") and run.finished_at


def test_a_lost_run_that_was_to_be_cancelled_is_cancelled(shop):
    run = training.request("popularity")
    silent(run, tries=1)
    training.cancel(run.pk)
    assert training.recover() == []
    assert Run.objects.get().status == "cancelled"


def test_a_queued_run_is_called_again_after_a_while(shop):
    run = training.request("popularity")
    assert training.recover() == [run.pk]  # the call never reached the broker
    training.enqueued(run.pk)
    assert training.recover() == []
    Run.objects.update(enqueued_at=timezone.now() - jobs.WAKE_AGAIN_AFTER)
    assert training.recover() == [run.pk]


@pytest.mark.parametrize("moment", ["fit", "clear", "write"])
def test_a_worker_that_wakes_up_after_its_run_was_given_to_another_writes_nothing(shop, conduct, monkeypatch, moment):
    run = training.request("als", SMALL)
    given, taken_over = [], {}

    def give_to_another(*_):
        if not given:
            given.append(True)
            Run.objects.filter(pk=run.pk).update(status="queued")
            taken_over.update(model_to_dict(training.run(run.pk)))

    def late(function):
        return lambda *args, **kwargs: give_to_another() or function(*args, **kwargs)

    if moment == "fit":
        conduct(give_to_another)
    elif moment == "clear":
        monkeypatch.setattr(training.shutil, "rmtree", late(training.shutil.rmtree))
    else:
        monkeypatch.setattr(training, "write_model", late(training.write_model))
    stale = training.run(run.pk)
    assert stale.tries == 2 and taken_over["status"] == "succeeded"
    assert model_to_dict(Run.objects.get()) == taken_over
    assert Publication.objects.count() == 1
    assert [path.name for path in conf().artifacts_dir.iterdir()] == [taken_over["artifact"]]
    serving.forget()
    assert serving.live().model is not None


def test_an_artifact_that_a_killed_try_left_is_replaced(shop):
    run = training.request("popularity")
    left = conf().artifacts_dir / f"run-{run.pk:06d}-1"
    left.mkdir(parents=True)
    silent(run, tries=1)
    training.recover()
    ended = training.run(run.pk)
    assert ended.status == "succeeded" and [path.name for path in conf().artifacts_dir.iterdir()] == [ended.artifact]


def test_a_heart_goes_on_beating_when_the_database_was_busy(shop, conduct, monkeypatch, caplog):
    report, failures = RunMonitor._mine, []

    def busy(monitor):
        if threading.current_thread() is not threading.main_thread() and len(failures) < 3:
            failures.append(1)
            raise OperationalError("database is locked")
        return report(monitor)

    def wait_for_a_beat(options):
        if options.progress is no_progress:
            return
        before, deadline = Run.objects.get().heartbeat_at, time.monotonic() + 10
        while len(failures) < 3 or Run.objects.get().heartbeat_at == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    monkeypatch.setattr(RunMonitor, "_mine", busy)
    conduct(wait_for_a_beat)
    with caplog.at_level(logging.WARNING):
        assert carried_out().status == "succeeded"
    assert "heartbeat" in caplog.text


def test_what_a_lost_worker_kept_is_there_for_the_next_try_and_gone_when_the_run_ends(shop, conduct):
    run = training.request("als", SMALL)
    folders = []

    def keep(options):
        folders.append(options.checkpoints)
        options.checkpoints.mkdir(parents=True)
        if len(folders) == 1:
            raise KeyboardInterrupt  # the worker dies; no exception a run could record

    conduct(keep)
    with pytest.raises(KeyboardInterrupt):
        training.run(run.pk)
    silent(run, tries=1)
    training.recover()
    assert folders[0].is_dir()
    folders[0].rmdir()
    training.run(run.pk)
    assert folders[0] == folders[1] != folders[2]
    assert not any(folder.exists() for folder in folders)
