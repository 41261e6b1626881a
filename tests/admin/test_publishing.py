"""Publish, roll back and withdraw from the console: with a reason, or not at all."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from recommender.models import Publication, Run
from recommender.services import publishing
from tests.admin.conftest import refused_gate

pytestmark = [pytest.mark.django_db, pytest.mark.database]

ROLL_BACK = "/admin/recommender/run/roll-back/"
WITHDRAW = "/admin/recommender/run/withdraw/"


def publish_url(run: Run) -> str:
    return reverse("admin:recommender_run_publish", args=[run.pk])


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_publish_with_a_reason(console: Client, boss: User, finished: Callable[..., Run]) -> None:
    run = finished()
    answer = console.post(publish_url(run), {"reason": "Better."}, follow=True)
    entry = Publication.objects.get()
    assert (entry.run, entry.reason, entry.by, entry.action) == (run, "Better.", boss, "publish")
    assert said(answer) == [f"Run {run.pk} is live."]
    assert LogEntry.objects.get().change_message == "Publish: Better."


@pytest.mark.parametrize("reason", ["", "   ", "x" * 301])
def test_publish_needs_a_reason(console: Client, finished: Callable[..., Run], reason: str) -> None:
    answer = console.post(publish_url(finished()), {"reason": reason})
    assert answer.status_code == 200
    assert "reason" in answer.context["form"].errors
    assert publishing.live_run_id() is None


def test_publishing_a_refused_run_warns_before_and_after(console: Client, finished: Callable[..., Run]) -> None:
    run = finished(status=Run.Status.REFUSED, gate=refused_gate())
    html = console.get(publish_url(run)).content.decode()
    assert "The gate refused this run:" in html
    assert "worse than recommending what is popular" in html
    answer = console.post(publish_url(run), {"reason": "I know why."}, follow=True)
    assert publishing.live_run_id() == run.pk
    assert any("The gate had refused" in message for message in said(answer))


@pytest.mark.parametrize("file", ["manifest.json", "popularity.npy"])
def test_damaged_artifact_is_a_message(console: Client, finished: Callable[..., Run], settings: Any, file: str) -> None:
    run = finished()
    with (settings.RECOMMENDER["artifacts_dir"] / run.artifact / file).open("ab") as damaged:
        damaged.write(b"x")
    [message] = said(console.post(publish_url(run), {"reason": "Better."}, follow=True))
    assert message.startswith("Nothing has changed. ")
    assert publishing.live_run_id() is None


def test_unfinished_run_is_a_message(console: Client, running: Run) -> None:
    [message] = said(console.post(publish_url(running), {"reason": "Now."}, follow=True))
    assert "cannot be published" in message


def test_swept_artifact_offers_no_button(console: Client, finished: Callable[..., Run]) -> None:
    run = finished()
    Run.objects.update(artifact="")
    html = console.get(reverse("admin:recommender_run_change", args=[run.pk])).content.decode()
    assert "Publish…" not in html
    assert "removed to save space" in html


def test_roll_back_names_its_target(console: Client, finished: Callable[..., Run]) -> None:
    first, second = finished(), finished()
    for run in (first, second):
        publishing.publish(run.pk, "Better.")
    page = console.get(reverse("admin:recommender_run_change", args=[second.pk])).content.decode()
    assert f"Roll back to run {first.pk}…" in page
    assert f"Roll back to run {first.pk}?" in console.get(ROLL_BACK).content.decode()
    answer = console.post(ROLL_BACK, {"reason": "Complaints.", "target": first.pk}, follow=True)
    assert publishing.live_run_id() == first.pk
    assert said(answer) == [f"Run {first.pk} is live."]


def test_roll_back_needs_a_reason(console: Client, finished: Callable[..., Run]) -> None:
    first, second = finished(), finished()
    for run in (first, second):
        publishing.publish(run.pk, "Better.")
    assert console.post(ROLL_BACK, {"target": first.pk}).status_code == 200
    assert publishing.live_run_id() == second.pk


def test_roll_back_to_what_the_page_did_not_show_asks_again(console: Client, finished: Callable[..., Run]) -> None:
    runs = [finished() for _ in range(3)]
    for run in runs:
        publishing.publish(run.pk, "Better.")
    answer = console.post(ROLL_BACK, {"reason": "Complaints.", "target": runs[0].pk}, follow=True)
    assert publishing.live_run_id() == runs[2].pk
    assert f"now leads to run {runs[1].pk}" in said(answer)[0]


def test_roll_back_to_nowhere_is_a_message(console: Client) -> None:
    assert said(console.get(ROLL_BACK, follow=True)) == ["There is no earlier run to roll back to."]


def test_withdraw(console: Client, finished: Callable[..., Run]) -> None:
    run = finished()
    publishing.publish(run.pk, "Better.")
    assert console.post(WITHDRAW, {}).status_code == 200
    assert publishing.live_run_id() == run.pk
    answer = console.post(WITHDRAW, {"reason": "Strange picks."}, follow=True)
    assert publishing.live_run_id() is None
    assert said(answer) == ["No run is live: popular items serve."]
    dashboard = console.get("/admin/").content.decode()
    assert "Strange picks." in dashboard
    assert f"Bring run {run.pk} back" in dashboard


def test_withdrawing_nothing_is_a_message(console: Client) -> None:
    assert said(console.post(WITHDRAW, {"reason": "Why not."}, follow=True)) == ["No run is live."]


def test_permissions(staff: Callable[..., Client], finished: Callable[..., Run]) -> None:
    run = finished()
    client = staff("view_run", "add_run", "view_publication")
    for address in (publish_url(run), ROLL_BACK, WITHDRAW):
        assert client.get(address).status_code == 403
        assert client.post(address, {"reason": "Mine."}).status_code == 403
    assert not Publication.objects.exists()


def test_publications_tell_who_and_why(console: Client, boss: User, finished: Callable[..., Run]) -> None:
    publishing.publish(finished().pk, "Passed the gate.")
    publishing.publish(finished().pk, "Nicer picks.", by=boss)
    html = console.get("/admin/recommender/publication/").content.decode()
    for part in ("Passed the gate.", "Nicer picks.", "the gate", "ada"):
        assert part in html
