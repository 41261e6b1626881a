"""Screenings in the console: asked for, watched, cancelled; what each looked at; and who may."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recommender import tasks
from recommender.models import Screening

pytestmark = [pytest.mark.django_db, pytest.mark.database]

LIST = "/admin/recommender/screening/"
SCREEN = "/admin/recommender/screening/screen/"


@pytest.fixture(autouse=True)
def turned_on(settings: Any) -> None:
    settings.RECOMMENDER = {**settings.RECOMMENDER, "screening": {}}


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The screenings that a worker was called for; the broker took every call."""
    calls: list[int] = []
    monkeypatch.setattr(tasks, "wake_screening", lambda screening_id: calls.append(screening_id) or True)
    return calls


@pytest.fixture
def running(db: None) -> Screening:
    now = timezone.now()
    return Screening.objects.create(
        status="running", started_at=now - timedelta(seconds=40), heartbeat_at=now, enqueued_at=now, worker="w",
        tries=1, stage="screen", share_done=0.5, message="review: 500 of 1,000",
    )  # fmt: skip


@pytest.fixture
def done(db: None) -> Screening:
    now = timezone.now()
    return Screening.objects.create(
        status="succeeded", started_at=now - timedelta(seconds=9), finished_at=now, share_done=1.0, tries=1,
        requested_by="sweep", reason="burst", message="7 found, 5 of them new; 1 no longer. Failed: order.",
        stages=[{"stage": "screen", "seconds": 8.5, "peak_mb": 200}],
        counts={
            "profile": {"rows": 2000, "found": 7, "new": 5, "gone": 1, "seconds": 0.58},
            "order": {"rows": 0, "found": 0, "new": 0, "gone": 0, "seconds": 0.1},
            "access": {"rows": 0, "note": "Nobody has logged in lately."},
        },
        failures={"order": "It broke (KeyError: 'x')."},
    )  # fmt: skip


def page(row: Screening, name: str = "change") -> str:
    return reverse(f"admin:recommender_screening_{name}", args=[row.pk])


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


@pytest.mark.django_db(transaction=True)
def test_the_button_queues_one_and_wakes_a_worker(console: Client, woken: list[int]) -> None:
    assert "Screen the shop now?" in console.get(SCREEN).content.decode() and not Screening.objects.exists()
    answer = console.post(SCREEN, follow=True)
    row = Screening.objects.get()
    assert (row.status, row.requested_by, row.subjects) == ("queued", "ada", []) and woken == [row.pk]
    assert answer.redirect_chain[-1][0] == page(row) and said(answer) == [f"Screening {row.pk} is queued."]


@pytest.mark.django_db(transaction=True)
def test_without_a_broker_it_waits(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wake_screening", lambda screening_id: False)
    answer = console.post(SCREEN, follow=True)
    assert "does not answer" in said(answer)[0] and "It waits until the broker answers." in answer.content.decode()


def test_a_second_click_names_the_one_at_work(console: Client, woken: list[int], running: Screening) -> None:
    answer = console.post(SCREEN, follow=True)
    assert Screening.objects.count() == 1 and woken == [] and page(running) in said(answer)[0]
    assert "Screen now" not in console.get(LIST).content.decode()


def test_turned_off_it_says_so(console: Client, woken: list[int], settings: Any) -> None:
    settings.RECOMMENDER = {**settings.RECOMMENDER, "screening": {"on": False}}
    assert "SCREENING" in said(console.post(SCREEN, follow=True))[0] and not Screening.objects.exists()


def test_the_page_tells_what_was_looked_at_and_what_failed(console: Client, done: Screening) -> None:
    text = console.get(page(done)).content.decode()
    for words in ("2,000", "Log-ins and API use", "Nobody has logged in lately.", "KeyError", "burst", "8 s"):
        assert words in text, words
    assert "subject__exact=profile&amp;state=all" in text
    listed = console.get(LIST).content.decode()
    assert "7 found, 5 of them new" in listed and "Screen now" in listed


@pytest.mark.parametrize("counts", [{}, [], {"profile": 3}, {"profile": {"rows": 1, "seconds": "soon"}}])
def test_a_page_stands_whatever_was_counted(console: Client, done: Screening, counts: Any) -> None:
    Screening.objects.update(counts=counts, failures=[])
    assert console.get(page(done)).status_code == 200


def test_one_at_work_is_watched_and_cancelled(console: Client, running: Screening) -> None:
    text = console.get(page(running)).content.decode()
    assert page(running, "progress") in text and "review: 500 of 1,000" in text
    told = console.get(page(running, "progress")).json()
    assert (told["kind"], told["percent"], told["active"]) == ("screening", 50, True)
    assert page(running, "progress") in console.get("/admin/").content.decode()
    assert "Cancel screening" in console.get(page(running, "cancel")).content.decode()
    answer = console.post(page(running, "cancel"), follow=True)
    running.refresh_from_db()
    assert running.cancel_requested and "was asked to stop" in said(answer)[0]


def test_who_may_what(staff: Callable[..., Client], woken: list[int], running: Screening, done: Screening) -> None:
    client = staff("view_screening")
    assert client.get(page(done)).status_code == 200 and "Cancel" not in client.get(page(running)).content.decode()
    assert client.post(SCREEN).status_code == client.post(page(running, "cancel")).status_code == 403
    assert client.get("/admin/recommender/screening/999/change/", follow=True).redirect_chain[-1][0] == LIST


def test_strangers_see_nothing(staff: Callable[..., Client], done: Screening) -> None:
    client = staff("view_item")
    assert client.get(LIST).status_code == client.get(page(done)).status_code == 403
    assert client.get(page(done, "progress")).status_code == 403
