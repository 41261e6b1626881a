"""What was shown, written down."""

from typing import Any

import pytest
from django.db import DataError, OperationalError
from django.utils import timezone

from recommender.models import Answer, Control, Item, Visitor
from recommender.services.experiments import answers
from recommender.services.serving import Recommendation, Shelf
from tests.services.experiments.shown import ago, experiment, show

pytestmark = pytest.mark.django_db


def shelf(*item_ids: str, name: str = "for-you") -> Shelf:
    entries = [Recommendation(Item(id=item_id), place, 1.0, "") for place, item_id in enumerate(item_ids, 1)]
    return Shelf(name, "", "model", 7, entries)


def served(settings: Any, **values: Any) -> None:
    settings.RECOMMENDER = {**settings.RECOMMENDER, "serving": {**settings.RECOMMENDER.get("serving", {}), **values}}


@pytest.mark.database
def test_an_answer_is_kept_as_it_was_shown(django_assert_num_queries: Any) -> None:
    one = shelf("b", "a", name="s" * 40)
    with django_assert_num_queries(0):
        answers.note(one, "guest:1", chances={"a": 0.25, "c": 0.75}, explored=2)
    assert answers.flush() == 1
    row = Answer.objects.get()
    assert (row.rec_id, row.visitor_id, row.run_id) == (one.rec_id, "guest:1", 7)
    assert (row.tier, row.shelf) == ("model", "s" * 32)
    assert (row.items, row.explored, row.chances, row.variant_id) == (["b", "a"], 2, {"a": 0.25, "c": 0.75}, None)
    answers.note(one, "guest:1")  # the same answer again
    answers.flush()
    assert Answer.objects.count() == 1


def test_an_empty_shelf_leaves_nothing_and_nothing_is_raised() -> None:
    answers.note(shelf(), "guest:1")
    answers.note(None, "guest:1")  # type: ignore[arg-type]
    assert answers.flush() == 0


def test_logging_is_off_unless_an_experiment_needs_it(settings: Any) -> None:
    served(settings, log_answers=False)
    _, variants = experiment()
    answers.note(shelf("a"), "guest:1")
    answers.note(shelf("a"), "guest:2", variants[0].pk)
    answers.flush()
    assert Answer.objects.values_list("visitor_id", flat=True).get() == "guest:2"


@pytest.mark.database
def test_private_visitors_stay_nameless() -> None:
    for name, wishes in (("p", {"private_since": timezone.now()}), ("o", {"personalised": False}), ("t", {})):
        Control.objects.create(visitor=Visitor.objects.create(id=name), **wishes)
        answers.note(shelf("a"), name)
    answers.note(shelf("a"), None)
    answers.flush()
    assert sorted(Answer.objects.values_list("visitor_id", flat=True)) == ["", "", "", "t"]


def test_it_waits_while_the_database_is_away_and_drops_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST", 3)
    for number in range(3):
        answers.note(shelf(f"item-{number}"), "guest:1")
    with monkeypatch.context() as away:
        away.setattr(Answer.objects, "bulk_create", _away)
        assert answers.flush() == 0
        assert answers.state() == (3, 0)
    answers.note(shelf("item-3"), "guest:1")
    assert answers.state() == (3, 1)
    assert answers.flush() == 3
    assert sorted(Answer.objects.values_list("items", flat=True)) == [["item-1"], ["item-2"], ["item-3"]]


def _away(*args: Any, **kwargs: Any) -> None:
    raise OperationalError("away")


@pytest.mark.django_db(transaction=True)
def test_a_thread_writes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "EVERY_S", 0.01)
    answers.start()
    answers.note(shelf("a"), "guest:1")
    timer = answers._timer
    assert timer is not None
    timer.join(5)
    assert Answer.objects.count() == 1
    answers.forget()


@pytest.mark.database
def test_old_answers_go_save_those_that_a_running_experiment_needs() -> None:
    _, (draft, _) = experiment("draft")
    _, (needed, _) = experiment("running", status="running", started_at=ago(days=40))
    old, new = ago(days=31), ago(days=29)
    rows = [show("g", ["a"], at, variant=variant) for at in (old, new) for variant in (None, draft, needed)]
    assert answers.prune() == 2
    assert set(Answer.objects.values_list("pk", flat=True)) == {row.pk for row in rows[2:]}


def test_what_no_table_takes_is_dropped_and_not_tried_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*args: Any, **kwargs: Any) -> None:
        raise DataError("not a text")

    monkeypatch.setattr(Answer.objects, "bulk_create", refuses)
    answers.note(shelf("a"), "guest:1")
    answers.flush()
    assert answers.state() == (0, 1)
