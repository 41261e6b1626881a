"""`manage.py encode` and `fine_tune`: what they say, and when they fail; and the sweep that asks by itself."""

import logging
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from recommender import tasks
from recommender.engine.encoders.text.hashing import HashingEncoder
from recommender.engine.errors import ModelMissing
from recommender.models import Encoding, Item
from recommender.services import run_monitor
from recommender.services.content import encoding, item_vectors
from recsite.celery import app

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_monitor.RunMonitor, "_beat", lambda monitor: None)


@pytest.fixture
def items(db: None) -> list[Item]:
    return [Item.objects.create(id=f"item-{n}", title=f"Thing {n}") for n in range(3)]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The encodings for which a worker was called."""
    asked: list[int] = []
    monkeypatch.setattr(tasks.encode, "apply_async", lambda args, **options: asked.extend(args))
    return asked


def test_it_encodes_here_and_now(items: list[Item], capsys: Any) -> None:
    call_command("encode")
    assert "Words: 3 items, 3 encoded." in capsys.readouterr().out
    call_command("encode")
    assert "Words: 3 items, 0 encoded, 3 unchanged." in capsys.readouterr().out
    call_command("encode", everything=True)
    assert "Words: 3 items, 3 encoded." in capsys.readouterr().out
    assert Encoding.objects.filter(status="succeeded", requested_by="manage.py encode").count() == 3


def test_it_names_what_was_refused(items: list[Item], capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_vectors.Pass, "_decoded", lambda self, said: (None, "It cannot be read."))
    call_command("encode")
    assert "  item-0 (text): It cannot be read." in capsys.readouterr().out


def test_it_warns_of_an_encoder_that_cannot_be_used(
    items: list[Item], capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*args: Any) -> Any:
        raise ModelMissing("Put it into models/.")

    monkeypatch.setattr(HashingEncoder, "fit", staticmethod(missing))
    call_command("encode")
    assert "Put it into models/." in capsys.readouterr().err


def test_one_at_work_is_named(items: list[Item]) -> None:
    row = encoding.request()
    with pytest.raises(CommandError, match=f"Encoding {row.pk} is queued"):
        call_command("encode")


def test_a_failure_is_a_failure(items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("recommender.services.content.content_artifacts.write_content", full)
    with pytest.raises(CommandError, match="No space left"):
        call_command("encode")


def test_fine_tuning_is_refused_where_the_encoder_cannot_learn(items: list[Item]) -> None:
    with pytest.raises(CommandError, match="cannot be fine-tuned"):
        call_command("fine_tune", "text")


def test_the_sweep_has_saved_items_encoded(items: list[Item], called: list[int]) -> None:
    tasks.sweep()
    row = Encoding.objects.get()
    assert called == [row.pk] and row.enqueued_at and row.requested_by == "sweep"
    tasks.sweep()
    assert called == [row.pk]  # one at a time, and called once
    tasks.encode(row.pk)
    row.refresh_from_db()
    assert row.status == "succeeded"
    tasks.sweep()
    assert Encoding.objects.count() == 1  # nothing was saved since
    items[0].save()
    tasks.sweep()
    assert len(called) == 2 and Encoding.objects.latest("id").since is not None


def test_the_sweep_that_comes_second_leaves_it_to_the_first(
    items: list[Item], called: list[int], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    encoding.enqueued(encoding.request().pk)
    monkeypatch.setattr(encoding, "due", lambda: True)
    with caplog.at_level(logging.INFO):
        tasks.sweep()
    assert called == [] and "already active" in caplog.text


def test_encoding_has_a_queue_and_a_time_limit_of_its_own() -> None:
    assert app.amqp.router.route({}, "recommender.tasks.encode")["queue"].name == "encode"
    assert tasks.encode.soft_time_limit < tasks.encode.time_limit
