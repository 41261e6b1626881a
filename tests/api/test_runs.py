"""Training asked for, watched, cancelled, published and rolled back over the API."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from kombu.exceptions import OperationalError

from recommender import tasks
from recommender.models import ApiKey, Item, Publication, Run
from recommender.services import publishing, training

from .conftest import BASE, Call, train

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The runs that a worker was called for; the broker takes every call."""
    calls: list[int] = []
    monkeypatch.setattr(tasks.train, "apply_async", lambda args, **options: calls.extend(args))
    return calls


def test_asking_for_a_run(call: Call, woken: list[int], django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = call("POST", "/runs", {"trainer": "als", "config": {"factors": 8}, "reason": "new shelf"})
    run = Run.objects.get()
    assert (response.status_code, response["Location"]) == (202, f"{BASE}/runs/{run.pk}")
    assert (response.data["run_id"], response.data["status"], response.data["live"]) == (run.pk, "queued", False)
    assert (run.trainer, run.config["factors"], run.reason) == ("als", 8, "new shelf")
    assert run.requested_by == "API key: test admin"
    assert woken == [run.pk]
    assert call("GET", f"/runs/{run.pk}").data["status"] == "queued"


def test_without_a_body_the_site_decides(call: Call, woken: list[int]) -> None:
    assert call("POST", "/runs").status_code == 202
    assert call("POST", f"/runs/{Run.objects.get().pk}/cancel").status_code == 200
    assert call("POST", "/runs", {}).status_code == 202


def test_with_the_broker_stopped_the_run_waits(
    call: Call, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def refuse(**options: Any) -> None:
        raise OperationalError("Connection refused")

    monkeypatch.setattr(tasks.train, "apply_async", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        assert call("POST", "/runs").status_code == 202
    assert training.recover() == [Run.objects.get().pk]


def test_one_run_at_a_time(call: Call, woken: list[int]) -> None:
    first = call("POST", "/runs").data["run_id"]
    second = call("POST", "/runs")
    assert (second.status_code, second.data["type"], second.data["run_id"]) == (409, "/problems/run-active", first)
    assert str(first) in second.data["detail"]


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"trainer": "magic"}, "unknown-name"),
        ({"trainer": "als", "config": {"nonsense": 1}}, "invalid-config"),
        ({"trainer": "als", "config": {"factors": -1}}, "invalid-config"),
        ({"trainer": "als", "config": {"factors": "many"}}, "invalid-config"),
        ({"config": {"factors": float("nan")}}, "invalid-request"),
        ({"config": {"factors": 10**399}}, "invalid-request"),
        ({"config": {"factors": {}}}, "invalid-request"),
        ({"config": []}, "invalid-request"),
        ({"trainer": 5}, "invalid-request"),
        ({"trainer": "a\x00"}, "invalid-request"),
        ({"reason": None}, "invalid-request"),
        ({"reason": "x" * 201}, "invalid-request"),
        ({"seed": 5}, "invalid-request"),
        ([], "invalid-request"),
    ],
)
def test_a_run_that_cannot_be_asked_for(call: Call, woken: list[int], body: Any, slug: str) -> None:
    response = call("POST", "/runs", body)
    assert (response.status_code, response.data["type"]) == (422, f"/problems/{slug}")
    assert not Run.objects.exists()


def test_cancelling(call: Call, woken: list[int]) -> None:
    run_id = call("POST", "/runs").data["run_id"]
    assert call("POST", f"/runs/{run_id}/cancel").data["status"] == "cancelled"
    assert call("POST", f"/runs/{run_id}/cancel").data["status"] == "cancelled"


@pytest.mark.parametrize("path", ["/runs/9999", "/runs/9999/cancel", "/runs/9999/publish", f"/runs/{2**63 - 1}"])
def test_a_run_nobody_knows(call: Call, path: str) -> None:
    post = path.rsplit("/", 1)[1] in {"cancel", "publish"}
    response = call("POST", path, {"reason": "r"}) if post else call("GET", path)
    assert (response.status_code, response.data["type"]) == (404, "/problems/unknown-run")


@pytest.mark.parametrize("number", ["abc", "0", "-1", "1.5", str(2**63), "9" * 400])
def test_a_run_number_that_is_none(call: Call, number: str) -> None:
    response = call("GET", f"/runs/{number}")
    assert (response.status_code, response.data["errors"][0]["parameter"]) == (422, "run_id")


def test_the_list_is_read_page_by_page(call: Call) -> None:
    made = [Run.objects.create(trainer="als", status=Run.Status.FAILED).pk for _ in range(5)]
    path, seen = "/runs?limit=2", []
    while path:
        page = call("GET", path).data
        assert page["count"] == 5
        seen += [run["run_id"] for run in page["runs"]]
        path = (page["next"] or "").removeprefix(BASE)
    assert seen == made[::-1]
    assert call("GET", "/runs?limit=0").status_code == 422
    assert call("GET", "/runs?before=x").status_code == 422


def test_publishing_and_rolling_back(call: Call, learned: Run) -> None:
    user = get_user_model().objects.create_user("ada")
    ApiKey.objects.filter(scopes=["admin"]).update(created_by=user)
    second = train("popularity")
    published = call("POST", f"/runs/{learned.pk}/publish", {"reason": "the first was better"})
    assert published.status_code == 200
    assert (published.data["run_id"], published.data["previous_run_id"]) == (learned.pk, second.pk)
    assert Publication.objects.latest().by == user
    assert call("GET", f"/runs/{learned.pk}").data["live"] is True
    back = call("POST", "/rollback", {"reason": "no, it was not"})
    assert (back.data["action"], back.data["run_id"]) == ("roll_back", second.pk)
    assert publishing.live_run_id() == second.pk
    assert call("GET", "/health", scope=None).data["live_run"] == second.pk


@pytest.mark.parametrize("reason", [..., "", "   ", "x" * 301, 5, None, "a\x00b"])
def test_what_goes_live_needs_a_reason(call: Call, learned: Run, reason: Any) -> None:
    train("popularity")
    before = publishing.live_run_id()
    for path in (f"/runs/{learned.pk}/publish", "/rollback"):
        response = call("POST", path, {} if reason is ... else {"reason": reason})
        assert response.status_code == 422
        assert "reason" in response.data["detail"]
    assert publishing.live_run_id() == before


def test_what_cannot_go_live(call: Call, shop: list[Item]) -> None:
    failed = Run.objects.create(trainer="als", status=Run.Status.FAILED)
    gone = Run.objects.create(trainer="als", status=Run.Status.SUCCEEDED, artifact="run-000099")
    for path, slug in (
        (f"/runs/{failed.pk}/publish", "run-not-publishable"),
        (f"/runs/{gone.pk}/publish", "artifact-missing"),
        ("/rollback", "nothing-to-roll-back-to"),
    ):
        response = call("POST", path, {"reason": "r"})
        assert (response.status_code, response.data["type"]) == (409, f"/problems/{slug}")
    assert not Publication.objects.exists()


def test_a_damaged_artifact_never_goes_live(call: Call, learned: Run, settings: Any) -> None:
    [array, *_] = sorted((settings.RECOMMENDER["artifacts_dir"] / learned.artifact).rglob("*.npy"))
    array.write_bytes(array.read_bytes()[:-1] + b"!")
    response = call("POST", f"/runs/{learned.pk}/publish", {"reason": "again"})
    assert (response.status_code, response.data["type"]) == (409, "/problems/artifact-damaged")
