"""A new model is opened while the one before answers, and no answer mixes the two."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from django.db import connection

from recommender.conf import conf
from recommender.engine.model import open_model, write_model
from recommender.engine.trainers import Options, make_config, trainer
from recommender.models import Item, Run, Visitor
from recommender.services import event_log, events, publishing, serving
from recommender.services.serving import live_model
from tests.services.conftest import HILL, SEA, purchases

OWN = {"model", "similar", "together", "cluster"}


def only(group: str, folder: Path) -> Run:
    """A run whose model knows nothing but one group of the shop's items."""
    rows = [row for row in purchases() if row[1].startswith(group)]
    visitors, bought, moments, sessions = (np.array(column, dtype=object) for column in zip(*rows, strict=True))
    times = np.array([int(moment.timestamp()) for moment in moments], dtype=np.int64)
    kinds = np.full(len(times), "purchase", dtype=object)
    log = event_log.EventLog(visitors, bought, kinds, np.full(len(times), np.nan), times, sessions)
    data, config = event_log.interactions(log), make_config("als", {"factors": 4, "iterations": 2})
    run = Run.objects.create(trainer="als", status=Run.Status.SUCCEEDED)
    run.artifact = f"run-{run.pk}"
    run.save()
    write_model(folder, run.artifact, "als", config, trainer("als").fit(data, config, Options(threads=1)), data)
    return run


@pytest.fixture
def runs(items: dict[str, Item], guest: Visitor) -> dict[int, str]:
    """Two runs by what they know, the first one live, and a guest who likes both."""
    for item_id in ("sea-01", "hill-01"):
        events.record(guest, items[item_id], "like")
    made = {only(group, conf().artifacts_dir).pk: group for group in (SEA, HILL)}
    publishing.publish(min(made), "for the tests")
    return made


@pytest.fixture
def aside() -> Iterator[None]:
    """As in a web process that has answered before."""
    serving.live()
    live_model.start()
    yield
    serving.forget()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.django_db
def test_the_model_before_answers_until_the_new_one_is_open(
    runs: dict[int, str], aside: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = runs
    go_on, began = threading.Event(), []

    def slow(path: Path):
        began.append(path)
        assert go_on.wait(10)
        return open_model(path)

    monkeypatch.setattr(live_model, "open_model", slow)
    publishing.publish(after, "for the tests")
    for _ in range(3):
        assert serving.live().run_id == before
    go_on.set()
    eventually(lambda: serving.live().run_id == after)
    assert len(began) == 1
    publishing.publish(before, "and back")
    assert serving.live().run_id == before  # at once: it is still open


@pytest.mark.django_db
def test_a_new_model_that_cannot_be_opened_is_said_to_be_the_live_one(
    runs: dict[int, str], aside: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(live_model, "open_model", fail)
    publishing.publish(max(runs), "for the tests")
    eventually(lambda: serving.live().run_id == max(runs))
    assert serving.live().model is None


@pytest.mark.django_db(transaction=True)
def test_no_answer_mixes_two_models_while_they_change_places(runs: dict[int, str], guest: Visitor, aside: None) -> None:
    seen: list[tuple[int, set[str]]] = []
    faults: list[Exception] = []
    done = threading.Event()

    def shopper() -> None:
        try:
            while not done.is_set():
                shelf = serving.recommend(guest.pk, 6)
                groups = {entry.item.pk.partition("-")[0] for entry in shelf.entries if entry.source in OWN}
                if shelf.run_id is not None and groups:  # another tier may have served in haste
                    seen.append((shelf.run_id, groups))
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    shoppers = [threading.Thread(target=shopper) for _ in range(3)]
    for thread in shoppers:
        thread.start()
    for turn in range(6):
        publishing.publish(list(runs)[1 - turn % 2], "for the tests")
        count = len(seen)
        eventually(lambda count=count: len(seen) > count + 5 or bool(faults))
    done.set()
    for thread in shoppers:
        thread.join(10)
    assert not faults
    assert {run_id for run_id, _ in seen} == set(runs)
    assert all(groups == {runs[run_id]} for run_id, groups in seen)
