"""A real worker: from request to live model through the broker, and on through accidents of both."""

import os
import pickle
import signal
import time
from pathlib import Path

import pytest

from recommender import tasks
from recommender.models import Publication, Run
from recommender.services import publishing, serving, training
from recsite.celery import app
from tests.workers.conftest import eventually
from tests.workers.runs import ENDLESS, asked_for, ended, in_the_midst, swept

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def test_a_run_goes_from_request_to_live(shop, worker):
    run = ended(asked_for("als", {"factors": 8}))
    assert (run.status, run.error, run.tries) == ("succeeded", "", 1) and run.enqueued_at
    eventually(lambda: publishing.live_run() == run, 5)
    assert serving.recommend("sea-fan-0", 3).run_id == run.pk


def test_a_call_delivered_again_does_nothing(shop, worker):
    run = training.request("popularity")
    for _ in range(3):
        assert tasks.wake(run.pk)
    ended(run)
    tasks.wake(run.pk)
    later = ended(asked_for_after(run))
    eventually(lambda: publishing.live_run() == later, 5)  # a run ends a moment before it is published
    assert Run.objects.get(pk=run.pk).tries == 1
    assert list(Publication.objects.order_by("id").values_list("run_id", flat=True)) == [run.pk, later.pk]


def asked_for_after(run: Run) -> Run:
    """Another run, behind whatever still waits for the first one."""
    eventually(lambda: publishing.live_run() == run, 5)
    return asked_for()


def test_a_cancelled_run_stops_within_seconds(shop, worker):
    run = in_the_midst(asked_for("als", ENDLESS))
    asked = time.monotonic()
    training.cancel(run.pk)
    assert ended(run, within_s=8).status == "cancelled"
    assert time.monotonic() - asked < 6
    assert publishing.live_run() is None


def test_a_run_beyond_the_time_limit_fails_with_a_reason(shop, worker):
    run = training.request("als", ENDLESS)
    tasks.train.apply_async(args=[run.pk], soft_time_limit=1)
    ended(run, within_s=10)
    assert run.status == "failed" and "TRAIN_TIME_LIMIT_S" in run.error


class Harm:
    """Unpickling it runs a command."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


def test_what_is_not_json_is_never_unpickled(shop, worker, tmp_path):
    with app.connection_for_write() as sender:
        sender.Producer().publish(
            pickle.dumps([[Harm(tmp_path / "harm")], {}, {}]),
            content_type="application/x-python-serialize",
            content_encoding="binary",
            routing_key="train",
            headers={"task": "recommender.tasks.train", "id": "1", "lang": "py"},
        )
    eventually(lambda: worker.says("Refusing to deserialize"), 10)
    assert ended(asked_for()).status == "succeeded"  # the worker lives on
    assert not (tmp_path / "harm").exists()


def test_the_run_of_a_killed_pool_process_is_given_to_another(shop, worker, settings):
    run = in_the_midst(asked_for("als", ENDLESS))
    for child in worker.children():  # as the kernel does when memory runs out
        os.kill(child, signal.SIGKILL)
    eventually(lambda: len(worker.children()) == 2, 10)
    swept(settings)
    run = in_the_midst(run)
    assert run.tries == 2
    training.cancel(run.pk)
    assert ended(run).status == "cancelled"


@pytest.mark.parametrize("harm", ["stopped", "frozen", "full"])
def test_without_a_broker_a_run_waits_and_starts_when_it_is_back(shop, broker, start_worker, settings, harm):
    start_worker()  # idle, so that it has nothing to acknowledge to a broker that is gone
    if harm == "stopped":
        broker.stop()
    elif harm == "frozen":
        broker.send(signal.SIGSTOP)
    else:
        configure(broker, "maxmemory", "1")
    run, asked = training.request("popularity"), time.monotonic()
    assert not tasks.wake(run.pk)
    assert time.monotonic() - asked < (6 if harm == "frozen" else 2)
    run.refresh_from_db()
    assert run.status == "queued" and run.enqueued_at is None
    if harm == "stopped":
        broker.start()
    elif harm == "frozen":
        broker.send(signal.SIGCONT)
    else:
        configure(broker, "maxmemory", "0")
    tasks.sweep()
    assert ended(run, within_s=40).status == "succeeded"


def test_a_run_in_progress_outlives_its_broker(shop, broker, start_worker):
    start_worker()
    run = in_the_midst(asked_for("als", ENDLESS))
    broker.stop()
    training.cancel(run.pk)
    assert ended(run).status == "cancelled"
    broker.start()
    start_worker()  # a supervisor's work: Celery gives up where it cannot acknowledge a finished task
    assert ended(asked_for("popularity")).status == "succeeded"


def configure(broker, name: str, value: str) -> None:
    import redis

    with redis.Redis(port=broker.port) as client:
        client.config_set(name, value)
