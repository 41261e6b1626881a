"""Train now, watch, cancel; and who may."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recommender.models import Run
from recommender.services import console as console_service

pytestmark = [pytest.mark.django_db, pytest.mark.database]

TRAIN = "/admin/recommender/run/train/"
LIST = "/admin/recommender/run/"


def url(name: str, run: Run) -> str:
    return reverse(f"admin:recommender_run_{name}", args=[run.pk])


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


@pytest.mark.django_db(transaction=True)
def test_train_now_queues_a_run_and_wakes_a_worker(console: Client, woken: list[int]) -> None:
    answer = console.post(TRAIN, follow=True)
    run = Run.objects.get()
    assert (run.status, run.requested_by, run.trainer) == (Run.Status.QUEUED, "ada", "als")
    assert woken == [run.pk]
    assert answer.redirect_chain[-1][0] == url("change", run)
    assert said(answer) == [f"Run {run.pk} is queued."]


@pytest.mark.django_db(transaction=True)
def test_train_now_says_that_the_broker_does_not_answer(console: Client, no_broker: None) -> None:
    answer = console.post(TRAIN, follow=True)
    run = Run.objects.get()
    assert run.status == Run.Status.QUEUED
    [message] = said(answer)
    assert "does not answer" in message
    assert f"Run {run.pk} is queued and waits" in message
    assert "It waits until the broker answers." in answer.content.decode()


def test_worker_is_called_only_after_the_commit(
    console: Client, woken: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        console.post(TRAIN)
        assert woken == []
    assert len(callbacks) == 1


def test_second_click_names_the_running_one(console: Client, woken: list[int], running: Run) -> None:
    answer = console.post(TRAIN, follow=True)
    assert Run.objects.count() == 1
    assert woken == []
    [message] = said(answer)
    assert f"Run {running.pk} is running" in message
    assert f'<a href="{url("change", running)}">' in message


def test_trainer_settings_and_reason_are_kept(console: Client, woken: list[int]) -> None:
    console.post(TRAIN, {"trainer": "als", "config": '{"factors": 7}', "reason": "smaller"})
    run = Run.objects.get()
    assert (run.config["factors"], run.reason) == (7, "smaller")


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ("{oops", "This is not JSON"),
        ("[1, 2]", "Give an object"),
        ('{"factors": NaN}', "This cannot be used"),
        ('{"factors": 1e999}', "This cannot be used"),
        ("[" * 100_000, "This cannot be used"),
        ('{"colour": "red"}', "als has no setting colour"),
        ('{"factors": "many"}', "factors must be a whole number"),
    ],
)
def test_bad_settings_are_explained(console: Client, woken: list[int], config: str, complaint: str) -> None:
    answer = console.post(TRAIN, {"trainer": "als", "config": config})
    assert answer.status_code == 200
    assert complaint in answer.context["form"].errors["config"][0]
    assert not Run.objects.exists()


def test_unknown_trainer_is_refused(console: Client, woken: list[int]) -> None:
    assert "trainer" in console.post(TRAIN, {"trainer": "oracle"}).context["form"].errors


def test_training_needs_its_permission(staff: Callable[..., Client], woken: list[int]) -> None:
    client = staff("view_run", "change_run")
    assert client.post(TRAIN).status_code == 403
    assert "Train now" not in client.get(LIST).content.decode()
    assert not Run.objects.exists()


def test_training_permission_is_enough(staff: Callable[..., Client], woken: list[int]) -> None:
    client = staff("view_run", "add_run")
    assert "Train now" in client.get(LIST).content.decode()
    client.post(TRAIN)
    assert Run.objects.get().requested_by == "stan"


def test_strangers_are_sent_to_the_login(client: Client, running: Run) -> None:
    for address in (TRAIN, url("progress", running), url("cancel", running)):
        assert client.get(address).url.startswith("/admin/login/")


@pytest.mark.parametrize("status", Run.Status.values)
def test_page_of_a_run_in_every_status(console: Client, finished: Callable[..., Run], status: str) -> None:
    run = finished(status=status, error="It broke." if status == "failed" else "")
    html = console.get(url("change", run)).content.decode()
    assert ("progress.js" in html) == run.is_active
    assert ("It broke." in html) == (status == "failed")
    assert ("Publish…" in html) == (status in ("succeeded", "refused"))
    assert ("Cancel…" in html) == run.is_active


def test_page_of_a_run_that_recorded_nothing(console: Client) -> None:
    run = Run.objects.create(trainer="als", status="failed", error="There are no interactions to learn from.")
    html = console.get(url("change", run)).content.decode()
    assert "Nothing was measured" in html
    assert "There are no interactions to learn from." in html


def test_page_of_a_run_that_is_not_there(console: Client) -> None:
    assert console.get("/admin/recommender/run/99/change/").status_code == 302
    assert console.get("/admin/recommender/run/99/progress/").status_code == 404
    assert console.post("/admin/recommender/run/99/cancel/").status_code == 404


def test_page_compares_with_the_live_run_and_popularity(console: Client, finished: Callable[..., Run]) -> None:
    from recommender.services import publishing

    live, run = finished(), finished()
    publishing.publish(live.pk, "First.")
    html = console.get(url("change", run)).content.decode()
    for part in (f"Live run {live.pk} (als)", "Popularity", "Recall@10", "NDCG@20", "MRR@10", "Coverage@10", "Gini@20"):
        assert part in html
    assert "NDCG@10 with 95 % intervals: This run" in html
    assert "All vectors and scores are finite." in html
    assert "Users without a history" in html
    assert "1 Mar 2026" in html


def test_page_shows_what_was_chosen_among(console: Client, finished: Callable[..., Run]) -> None:
    run = finished()
    assert "What was chosen" not in console.get(url("change", run)).content.decode()
    tried = [
        {"name": "blend", "trainer": "blend", "config": {}, "tuned": False, "ndcg@10": 0.31236, "seconds": 4.25},
        {"name": "ease", "trainer": "ease", "config": {"power": 0.5}, "tuned": True, "ndcg@10": 0.3, "seconds": 61.0},
    ]
    parts = [{"name": "ease", "weight": 0.625}, {"name": "als", "weight": 0.375}]
    run.metrics["choice"] = {"trainer": "blend", "name": "blend", "parts": parts, "users": 3456, "tried": tried}
    run.metrics["choice"]["left_out"] = {"sasrec_long": "no time for it"}
    run.save()
    html = console.get(url("change", run)).content.decode()
    for text in (
        "What was chosen",
        "ease 0.63, als 0.38",
        "3,456 users",
        "0.3124",
        "power 0.5",
        "61.0",
        "tuned",
        "sasrec_long (no time",
    ):
        assert text in html
    run.metrics["choice"] = {"trainer": "blend", "parts": parts}  # a blend that was asked for, not chosen
    run.save()
    assert "blend: ease 0.63, als 0.38" in console.get(url("change", run)).content.decode()


def test_viewers_see_the_page_without_buttons(staff: Callable[..., Client], finished: Callable[..., Run]) -> None:
    html = staff("view_run").get(url("change", finished())).content.decode()
    assert "Publish…" not in html


def test_progress_is_json(console: Client, running: Run) -> None:
    answer = console.get(url("progress", running))
    assert "no-store" in answer["Cache-Control"]
    told = answer.json()
    assert (told["run"], told["status"], told["active"], told["percent"]) == (running.pk, "running", True, 25)
    assert (told["stage"], told["message"], told["worker"]) == ("clean", "counting", "trainer-1")
    assert told["heartbeat_age_s"] < 5
    assert not told["stale"]
    assert told["time_left"] == "about 2 min left"  # 40 s for a quarter
    states = {stage["name"]: stage["state"] for stage in told["stages"]}
    assert list(states)[:4] == ["load", "clean", "screening", "split"]
    assert (states["load"], states["clean"], states["split"]) == ("done", "now", "todo")
    assert told["stages"][0]["took"] == "12 s"


def test_progress_needs_the_permission_to_view(staff: Callable[..., Client], running: Run) -> None:
    assert staff("view_item").get(url("progress", running)).status_code == 403


def test_progress_of_an_ended_run_says_so(console: Client, finished: Callable[..., Run]) -> None:
    told = console.get(url("progress", finished())).json()
    assert (told["active"], told["percent"], told["time_left"]) == (False, 100, "ended")


def test_progress_warns_of_a_lost_worker(running: Run) -> None:
    running.heartbeat_at = timezone.now() - timedelta(seconds=25)
    told = console_service.progress(running)
    assert told["stale"]
    assert told["warning"]
    assert told["note"].startswith("No heartbeat for 25 s.")


def test_progress_warns_when_no_worker_takes_the_run(db: None) -> None:
    run = Run(trainer="als", created_at=timezone.now(), enqueued_at=timezone.now())
    assert console_service.progress(run)["note"] == "Waiting for a worker."
    run.created_at -= timedelta(minutes=2)
    told = console_service.progress(run)
    assert told["warning"]
    assert "No worker has taken it for 2 min." in told["note"]


def test_cancel_asks_first(console: Client, running: Run) -> None:
    html = console.get(url("cancel", running)).content.decode()
    assert "Cancel the run" in html
    running.refresh_from_db()
    assert not running.cancel_requested


def test_cancel_a_running_run(console: Client, running: Run) -> None:
    answer = console.post(url("cancel", running), follow=True)
    running.refresh_from_db()
    assert running.cancel_requested
    assert said(answer) == [f"Run {running.pk} was asked to stop; it does within seconds."]


def test_cancel_a_queued_run(console: Client) -> None:
    run = Run.objects.create(trainer="als")
    answer = console.post(url("cancel", run), follow=True)
    run.refresh_from_db()
    assert run.status == Run.Status.CANCELLED
    assert said(answer) == [f"Run {run.pk} is cancelled."]


def test_cancel_an_ended_run_changes_nothing(console: Client, finished: Callable[..., Run]) -> None:
    run = finished()
    answer = console.post(url("cancel", run), follow=True)
    run.refresh_from_db()
    assert run.status == Run.Status.SUCCEEDED
    assert "had already ended" in said(answer)[0]


def test_cancel_needs_its_permission(staff: Callable[..., Client], running: Run) -> None:
    assert staff("view_run").post(url("cancel", running)).status_code == 403
    running.refresh_from_db()
    assert not running.cancel_requested


def test_history_cannot_be_deleted(console: Client, finished: Callable[..., Run]) -> None:
    assert console.post(url("delete", finished()), {"post": "yes"}).status_code == 403
    assert Run.objects.count() == 1


@pytest.mark.parametrize(("useful", "words"), [(True, "by what they say of themselves"), (False, "wait for the next")])
def test_a_run_says_how_well_it_finds_new_items(
    console: Client, finished: Callable[..., Run], useful: bool, words: str
) -> None:
    run = finished()
    figures = {"ndcg@20": 0.4321, "recall@20": 0.5, "chance": {"ndcg@20": 0.1, "recall@20": 0.2}, "items": 1234}
    run.metrics["newcomers"] = {**figures, "useful": useful}
    run.save()
    page = console.get(url("change", run)).content.decode()
    assert words in page and "0.4321" in page and "1,234" in page


@pytest.mark.parametrize(("kind", "words"), [("weights", "is ranked together"), ("first", "only fill up behind it")])
def test_a_run_says_what_its_sources_are_worth(
    console: Client, finished: Callable[..., Run], kind: str, words: str
) -> None:
    run = finished()
    weights = {"model": 0.75, "trending": 0.25, "new": 0.0} if kind == "weights" else {}
    gain = {"value": 0.0123, "low": 0.001, "high": 0.02}
    run.metrics["mixer"] = {
        "kind": kind, "users": 1234, "model": 0.1111, "mixed": 0.1234, "gain": gain, "weights": weights,
    }  # fmt: skip
    run.save()
    page = console.get(url("change", run)).content.decode()
    assert words in page and "1,234" in page and "0.1111" in page and "0.0123 (0.0010 to 0.0200)" in page
    assert ("75.0 %" in page and "Trending" in page) == (kind == "weights")
