"""The life of a run: claimed once, heard when cancelled, fenced when lost, and never live without having earned it."""

import json
import threading
import time
from dataclasses import asdict
from datetime import timedelta

import numpy as np
import pytest

from recommender.conf import conf
from recommender.engine.errors import ArtifactDamaged, InvalidConfig, UnknownName
from recommender.engine.model import open_model
from recommender.engine.trainers import make_config
from recommender.models import Event, Item, Publication, Run
from recommender.services import events, people, publishing, run_monitor, serving, training
from recommender.services.errors import RunActive, UnknownRun
from tests.services.conftest import PER_GROUP, SMALL, START, at_once, carried_out

# The heartbeat writes on a connection of its own, so that what the test writes must be committed.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database, pytest.mark.usefixtures("quick_heart")]


@pytest.fixture
def judged(shop, settings):
    """The shop, where everybody buys one more item of their taste at the end: enough to judge a model by."""
    settings.RECOMMENDER = {**settings.RECOMMENDER, "test_share": 0.2}
    Event.objects.bulk_create(
        Event(
            kind="purchase",
            visitor_id=f"{group}-fan-{number}",
            item_id=f"{group}-{(number + 4) % PER_GROUP:02d}",
            occurred_at=START + timedelta(days=9, minutes=number),
        )
        for number in range(3 * PER_GROUP)
        for group in ("sea", "hill")
    )
    return shop


# --- A whole run


def test_a_run_goes_from_events_to_the_live_model(judged):
    run = carried_out("als", reason="first", requested_by="ada")
    assert (run.status, run.error, run.tries, run.share_done) == ("succeeded", "", 1, 1.0)
    assert run.counts == {"events": 300, "repeats": 0, "learned": 300, "users": 60, "items": 20}
    assert [stage["stage"] for stage in run.stages] == list(training.STAGES)
    assert all(stage["seconds"] >= 0 and stage["peak_mb"] > 10 for stage in run.stages)
    assert run.gate["passed"] and {check["name"] for check in run.gate["checks"]} >= {"finite", "beats_popularity"}
    ours, floor = (run.metrics[name]["metrics"]["ndcg@10"]["value"] for name in ("model", "popularity"))
    assert ours > floor > 0
    assert run.started_at <= run.heartbeat_at <= run.finished_at and run.worker
    assert publishing.live_run() == run
    model = open_model(conf().artifacts_dir / run.artifact)
    assert len(model) == 20 and model.manifest["run"] == run.pk and model.manifest["gate"] == run.gate
    shelf = serving.recommend("sea-fan-0", 3)
    assert (shelf.tier, shelf.run_id) == ("model", run.pk)
    assert all(entry.item.pk.startswith("sea") for entry in shelf.entries[:2])  # then comes another category's best


def test_the_same_seed_gives_the_same_run(judged):
    first, second, other = carried_out(), carried_out(), carried_out(options={"seed": 7})
    assert first.metrics == second.metrics
    vectors = [open_model(conf().artifacts_dir / run.artifact).query.item_vectors for run in (first, second, other)]
    assert np.array_equal(vectors[0], vectors[1]) and not np.array_equal(vectors[0], vectors[2])


def test_what_a_run_records_is_json(judged):
    run = carried_out()
    json.dumps([run.metrics, run.gate, run.stages, run.counts, run.config, run.options], allow_nan=False)
    assert run.config == asdict(make_config("als", SMALL))  # defaults are written out


def test_progress_rises_while_it_works(judged, conduct):
    seen = []

    def look(options):
        for share in (0.1, 0.9):
            options.progress(share, f"at {share}")
            row = Run.objects.get()
            seen.append((row.status, row.stage, row.share_done, row.message))

    conduct(look)
    carried_out()
    (status, stage, share, message), (_, _, later, _) = seen[:2]
    assert (status, stage, message) == ("running", "fit", "at 0.1") and 0 < share < later < 1


def test_what_was_chosen_is_recorded_and_served_without_choosing_again(judged):
    run = carried_out("auto", {"candidates": ["popularity", "item_knn"], "trials": 1, "blend": False})
    assert (run.status, run.error) == ("succeeded", "")
    choice = run.metrics["choice"]
    assert choice["trainer"] == choice["tried"][0]["trainer"] == "item_knn"
    assert [set(one) >= {"name", "ndcg@10", "seconds"} for one in choice["tried"]] == [True] * 3
    json.dumps(run.metrics, allow_nan=False)
    model = open_model(conf().artifacts_dir / run.artifact)
    assert model.manifest["config"]["choice"]["tried"] == choice["tried"]  # the seconds too: it was not done again
    assert run.config["choice"] == {}  # what was asked for stays as it was
    assert serving.recommend("sea-fan-0", 3).tier == "model"


def test_a_run_the_gate_refuses_is_kept_but_not_published(judged, conduct):
    live = carried_out()
    conduct(vectors=np.ones((20, 8), np.float32))
    refused = carried_out()
    assert (refused.status, refused.error) == ("refused", "")
    assert not refused.gate["passed"] and refused.gate["reasons"]
    assert publishing.live_run() == live
    publishing.publish(refused.pk, "to see what happens")
    assert publishing.live_run() == refused


def test_without_auto_publish_people_decide(shop, settings):
    settings.RECOMMENDER = {**settings.RECOMMENDER, "auto_publish": False}
    run = carried_out()
    assert run.status == "succeeded" and publishing.live_run() is None


def test_a_run_that_cannot_be_published_says_so(shop, monkeypatch, caplog):
    def refuse(*args, **kwargs):
        raise ArtifactDamaged("a.npy is not as it was written.")

    monkeypatch.setattr(publishing, "publish", refuse)
    run = carried_out()
    assert run.status == "succeeded" and run.error.startswith("Not published.") and "a.npy" in run.error


@pytest.mark.parametrize("trainer_name", ["als", "popularity"])
@pytest.mark.parametrize(
    ("visitors", "things"),
    [(["ada"], ["sea-00"]), (["ada"], ["sea-00", "sea-01", "sea-02"]), (["ada", "bob"], ["sea-00"])],
)
def test_a_tiny_shop_can_be_learned(items, trainer_name, visitors, things):
    for visitor in visitors:
        for item_id in things:
            events.record(people.ensure(visitor), items[item_id], "view")
    run = carried_out(trainer_name)
    assert (run.status, run.error) == ("succeeded", "")
    assert publishing.live_run() == run
    assert len(serving.recommend("somebody new").entries) == len(things)
    serving.recommend("ada")
    serving.similar("sea-00")


# --- Asking for a run


def test_only_one_run_is_active(db):
    run = training.request("popularity")
    with pytest.raises(RunActive) as refusal:
        training.request("popularity")
    assert refusal.value.context == {"run_id": run.pk}
    Run.objects.update(status="running")
    with pytest.raises(RunActive):
        training.request("popularity")
    Run.objects.update(status="failed")
    assert training.request("popularity").pk != run.pk


def test_of_requests_at_the_same_moment_one_is_queued(db):
    results = at_once(*[lambda: training.request("popularity")] * 4)
    assert sorted(type(result).__name__ for result in results) == ["Run", "RunActive", "RunActive", "RunActive"]
    assert Run.objects.count() == 1


def test_the_sites_own_trainer_and_config_are_the_default(settings):
    settings.RECOMMENDER = {**settings.RECOMMENDER, "trainer": "als", "trainer_config": {"factors": 5}, "threads": 3}
    run = training.request()
    assert (run.trainer, run.config["factors"], run.options) == ("als", 5, {"seed": 42, "threads": 3, "device": "auto"})
    training.cancel(run.pk)
    assert training.request("popularity").config == {"count_users": True}


@pytest.mark.parametrize(
    ("name", "config", "error"),
    [
        ("none such", {}, UnknownName),
        ("als", {"colour": 1}, InvalidConfig),
        ("als", {"factors": 0}, InvalidConfig),
        ("als", {"factors": "many"}, InvalidConfig),
        ("als", {"regularization": "strong"}, InvalidConfig),
        ("als", {"alpha": float("nan")}, InvalidConfig),
        ("als", {"iterations": None}, InvalidConfig),
    ],
)
def test_what_cannot_be_trained_is_not_queued(db, name, config, error):
    with pytest.raises(error):
        training.request(name, config)
    assert not Run.objects.exists()


def test_an_unknown_run_is_unknown(db):
    for ask in (training.get, training.cancel):
        with pytest.raises(UnknownRun):
            ask(99)
    assert training.run(99) is None


# --- Claiming


def test_a_wake_up_call_delivered_twice_runs_once(shop):
    run = training.request("popularity")
    results = at_once(*[lambda: training.run(run.pk)] * 3)
    assert [result for result in results if result is not None] == [run]
    assert Run.objects.get().tries == 1 and Publication.objects.count() == 1
    assert training.run(run.pk) is None
    assert Run.objects.get().tries == 1


# --- Failing


def test_an_empty_shop_says_what_is_missing(items):
    run = carried_out()
    assert run.status == "failed" and run.error.startswith("There are no interactions to learn from.")
    assert publishing.live_run() is None


def test_only_dislikes_are_nothing_to_learn_from(items, guest):
    events.record(guest, items["sea-00"], "dislike")
    assert "no interactions" in carried_out().error


def test_an_error_in_a_trainer_is_the_reason(shop, conduct, caplog):
    def fail(options):
        raise ValueError("matrix is singular")

    conduct(fail)
    run = carried_out()
    assert run.status == "failed" and run.error.startswith("ValueError: matrix is singular (fail, line")
    assert run.finished_at and run.stage == "fit" and not run.artifact
    assert "Run" in caplog.text


def test_a_full_disk_is_named(shop, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training, "write_model", full)
    run = carried_out()
    assert run.status == "failed" and "is the disk full? (No space left on device)" in run.error
    assert not run.artifact and publishing.live_run() is None


def test_vectors_that_are_not_finite_never_go_live(shop, conduct):
    conduct(vectors=np.full((20, 8), np.nan, np.float32))
    run = carried_out()
    assert run.status == "failed" and "NaN" in run.error and publishing.live_run() is None


def test_a_failure_leaves_the_live_model_and_the_way_free(shop, conduct):
    live = carried_out()
    conduct(lambda options: 1 / 0)
    assert carried_out().status == "failed"
    assert publishing.live_run() == live and training.active_run() is None
    assert serving.popular(3).run_id == live.pk


class OutOfTime(Exception):
    """What a task's time limit raises."""


def test_a_run_that_takes_too_long_says_so(shop, conduct):
    def too_long(options):
        raise OutOfTime

    conduct(too_long)
    run = training.run(training.request("als", SMALL).pk, out_of_time=OutOfTime)
    assert run.status == "failed" and "longer than it may" in run.error and "TRAIN_TIME_LIMIT_S" in run.error


# --- Cancelling


def test_a_queued_run_is_cancelled_at_once(shop):
    run = training.cancel(training.request("als", SMALL).pk)
    assert (run.status, run.cancel_requested) == ("cancelled", True) and run.finished_at
    assert training.run(run.pk) is None
    assert Run.objects.get().status == "cancelled"


def test_a_running_run_hears_of_it_within_moments(shop, conduct):
    started = threading.Event()

    def wait(options):
        started.set()
        for _ in range(1000):
            options.progress(0.5, "waiting")
            time.sleep(0.01)

    conduct(wait)
    run = training.request("als", SMALL)

    def cancel():
        assert started.wait(10)
        return training.cancel(run.pk).status, time.monotonic()

    ended, (answer, asked_at) = at_once(lambda: (training.run(run.pk), time.monotonic()), cancel)
    assert answer == "running"
    assert (ended[0].status, ended[0].error) == ("cancelled", "") and ended[1] - asked_at < 2
    assert publishing.live_run() is None and training.active_run() is None


def test_a_run_cancelled_at_the_last_moment_does_not_go_live(shop, monkeypatch):
    write = training.write_model

    def cancelled_meanwhile(*args, **kwargs):
        training.cancel(Run.objects.get().pk)
        return write(*args, **kwargs)

    monkeypatch.setattr(run_monitor, "HEARTBEAT_S", 1000)  # too late to be heard
    monkeypatch.setattr(training, "write_model", cancelled_meanwhile)
    assert carried_out("popularity").status == "cancelled"
    assert publishing.live_run() is None


def test_an_ended_run_stays_as_it_is(shop):
    run = carried_out("popularity")
    assert training.cancel(run.pk).status == "succeeded"
    assert not Run.objects.get().cancel_requested


def test_a_run_deleted_while_it_works_stops(shop, conduct):
    conduct(lambda options: Run.objects.all().delete())
    assert training.run(training.request("als", SMALL).pk) is None
    assert not Run.objects.exists() and publishing.live_run() is None


def test_items_may_change_while_it_works(shop, conduct):
    conduct(lambda options: Item.objects.filter(pk="sea-00").update(active=False))
    assert carried_out().status == "succeeded"
    assert "sea-00" not in [entry.item.pk for entry in serving.popular(100).entries]
