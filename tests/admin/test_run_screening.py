"""The section `Screening` of a run's page, and the button that restores."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from recommender.models import Event, Item, Run, Verdict, Visitor

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def screened(finished: Callable[..., Run], shop: list[Item]) -> Run:
    """A run that left out one visitor's events by itself, and another's because staff had confirmed it."""
    pks = []
    for name, state in (("eve", "quarantined"), ("mallory", "confirmed")):
        Visitor.objects.create(id=name, kind="external")
        Event.objects.create(visitor_id=name, item=shop[0], kind="purchase")
        row = Verdict.objects.create(
            subject="profile", subject_id=name, visitor_id=name, kind="push", probability=0.95, state=state
        )
        pks.append(row.pk)
    told = {
        "on": True,
        "events": 1000,
        "left_out": 40,
        "weighed_down": 1,
        "visitors": {"left_out": 2, "weighed_down": 1},
        "by": [
            {"subject": "profile", "kind": "push", "left_out": 40, "weighed_down": 0, "verdicts": 2},
            {"subject": "event", "kind": "flagged", "left_out": 0, "weighed_down": 1, "verdicts": 0},
        ],
        "quarantined": pks[:1],
        "failures": {"review": "It broke (ValueError: <b>no</b>)."},
        "found": {
            "profile": {"rows": 900, "found": 2, "new": 1, "gone": 0, "beyond": 3, "seconds": 0.5},
            "order": {"rows": 0, "note": "Nobody has ordered yet.", "seconds": 0},
        },
        "effect": {
            "users": 500, "k": 10, "overlap": 0.93, "share": 0.5, "seconds": 1,
            "items": [
                {"item": shop[0].pk, "from": 0.3, "to": 0.1, "place_from": 1, "place_to": None},
                {"item": "gone", "from": 0.0, "to": 0.02, "place_from": None, "place_to": 9},
            ],
        },
        "seconds": 2.5,
    }  # fmt: skip
    return finished(screening=told)


def url(name: str, run: Run) -> str:
    return reverse(f"admin:recommender_run_{name}", args=[run.pk])


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_the_page_says_what_was_left_out_and_what_it_changed(console: Client, screened: Run, shop: list[Item]) -> None:
    page = text(console.get(url("change", screened)))
    for words in (
        "<strong>40</strong> of 1,000 events were left out (4.0 %, of 2 visitors), <strong>1</strong> counted less",
        "subject__exact=profile&amp;kind=push&amp;state=all",
        "Events that broke a rule as they came",
        "Reviews:</strong> It broke (ValueError: &lt;b&gt;no&lt;/b&gt;).",
        "93.0 % stay on average. Measured on 50.0 % of the visitors.",
        shop[0].title,
        "30.0 %",
        ">gone<",
        "Nobody has ordered yet.",
        "3 of those found are not listed",
        "Restore what it left out…",
    ):
        assert words in page, words


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, None),
        ({"on": False}, "turned off by the settings"),
        (
            {"on": True, "failures": {"verdicts": "It broke. Every event counted in full."}},
            "Every event counted in full",
        ),
        ({"on": True, "events": 9, "left_out": 0, "weighed_down": 0}, "all 9 events counted in full"),
        (
            {"on": True, "events": 9, "left_out": 1, "effect": {"note": "Every visitor is touched."}},
            "Not measured: Every visitor is touched.",
        ),
    ],
)
def test_the_page_with_less_to_say(
    console: Client, finished: Callable[..., Run], told: dict[str, Any], words: str | None
) -> None:
    page = text(console.get(url("change", finished(screening=told))))
    assert ("<h2>Screening</h2>" in page) == bool(told)
    assert "Restore what it left out" not in page
    if words:
        assert words in page


def test_restoring_asks_first_releases_what_was_not_confirmed_and_is_undone(console: Client, screened: Run) -> None:
    page = text(console.get(url("restore", screened)))
    assert "1 verdict is released" in page and "1 events of 1 visitors" in page and "1 visitors" in page
    assert Verdict.objects.filter(state="released").count() == 0
    answer = console.post(url("restore", screened), follow=True)
    assert answer.redirect_chain[-1][0] == url("change", screened)
    assert "1 verdict is released" in text(answer) and "Restore what it left out" not in text(answer)
    assert dict(Verdict.objects.values_list("visitor", "state")) == {"eve": "released", "mallory": "confirmed"}
    assert Verdict.objects.get(visitor="eve").decided_by == User.objects.get(username="ada")
    batch = Verdict.objects.get(visitor="eve").decisions.first().batch
    console.post(reverse("admin:recommender_verdict_undo", args=[batch]))
    assert Verdict.objects.get(visitor="eve").state == "quarantined"


def test_restoring_twice_says_that_nothing_is_left(console: Client, screened: Run) -> None:
    console.post(url("restore", screened))
    for method in (console.get, console.post):
        assert "nothing to restore" in text(method(url("restore", screened), follow=True))


def test_only_those_who_decide_restore(staff: Callable[..., Client], screened: Run) -> None:
    seer = staff("view_run")
    page = text(seer.get(url("change", screened)))
    assert "<h2>Screening</h2>" in page and "Restore what" not in page and "Open the review queue" not in page
    assert seer.post(url("restore", screened)).status_code == 403
    assert Verdict.objects.get(visitor="eve").state == "quarantined"
