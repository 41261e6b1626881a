"""Whatever goes wrong under /api/v1/ is a problem document, and never more than the client needs."""

import logging
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import UnreadablePostError
from django.test import Client

from recommender.api import problems
from recommender.engine import errors as engine_errors
from recommender.engine.errors import RecommenderError
from recommender.models import Item
from recommender.services import errors as service_errors
from recommender.services import events, serving

from .conftest import BASE, Call, conforms
from .test_events import event

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.mark.parametrize(
    "body",
    ["{", "{]", '{"a": 1,}', "{'a': 1}", "undefined", "[" * 100_000, b"\xff\xfe{", b"\x80", "\x00", '"\n"'],
)
@pytest.mark.parametrize("path", ["/events", "/events/batch"])
def test_malformed_json(call: Call, path: str, body: str | bytes) -> None:
    response = call("POST", path, body, "ingest")
    assert (response.status_code, response.data["type"]) == (400, "/problems/malformed-json")


def test_malformed_json_is_shown_where(call: Call) -> None:
    assert call("POST", "/events", '{"a": 1,}', "ingest").data["detail"].endswith("at character 8.")


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/events/", "/items/a/b/c", "/runs/1/", "/admin", "/%00", "/é"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_addresses_that_are_none(call: Call, method: str, path: str) -> None:
    if path in {"", "/admin"}:
        path = "/x" + path
    response = call(method, path)
    assert (response.status_code, response.data["type"]) == (404, "/problems/not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/events", "POST"),
        ("DELETE", "/items/print-0042", "GET, PUT"),
        ("PATCH", "/runs", "GET, POST"),
        ("POST", "/popular", "GET"),
        ("OPTIONS", "/health", "GET"),
        ("TRACE", "/health", "GET"),
        ("BREW", "/recommendations", "GET"),
    ],
)
def test_methods_that_are_none(call: Call, shop: list[Item], method: str, path: str, allowed: str) -> None:
    response = call(method, path)
    assert (response.status_code, response.data["type"]) == (405, "/problems/method-not-allowed")
    assert response["Allow"] == allowed


def test_ten_megabytes_are_refused_unread(call: Call, shop: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"events": [' + b" " * 10 * 2**20 + b"]}"
    read: list[int] = []
    monkeypatch.setattr("django.test.client.FakePayload.read", lambda self, *size: read.append(1) or b"")
    for scope in ("ingest", None):
        response = call("POST", "/events/batch", body, scope)
        assert (response.status_code, response.data["type"]) == (413, "/problems/body-too-large")
        assert "2,097,152" in response.data["detail"]
    assert not read


@pytest.mark.parametrize("length", ["9" * 30, "99999999"])
def test_an_announced_length_is_enough(keys: dict[str, str], length: str) -> None:
    response = Client().generic("POST", f"{BASE}/events", "{}", "application/json", CONTENT_LENGTH=length)
    assert response.status_code == 413


def test_a_body_in_chunks_is_not_taken_for_an_empty_one(call: Call) -> None:
    response = Client().post(f"{BASE}/events", headers={"Transfer-Encoding": "chunked"}, CONTENT_LENGTH="")
    assert (response.status_code, response.json()["type"]) == (411, "/problems/length-required")


def test_a_body_just_below_the_limit_is_read(call: Call, shop: list[Item]) -> None:
    body = f'{{"events": [{" " * 2_000_000}]}}'
    assert call("POST", "/events/batch", body, "ingest").status_code == 200


@pytest.mark.parametrize("error", [OperationalError("database is locked"), InterfaceError("connection already closed")])
def test_a_database_that_is_away(call: Call, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(events, "record_batch", fail)
    response = call("POST", "/events", event(), "ingest")
    assert (response.status_code, response.data["type"]) == (503, "/problems/database-unavailable")
    assert int(response["Retry-After"]) > 0
    assert str(error) not in response.content.decode()
    monkeypatch.setattr(serving, "live", fail)
    health = call("GET", "/health", scope=None)
    assert (health.status_code, health.data["status"], health.data["database"]) == (503, "degraded", False)


def test_a_busy_database_does_not_turn_readers_away(
    call: Call, shop: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("django.db.models.query.QuerySet.update", locked)
    assert call("GET", "/popular", scope="read").status_code == 200


@pytest.mark.parametrize("kind", [ZeroDivisionError, DatabaseError, KeyError])
def test_a_fault_is_logged_and_not_told(
    call: Call, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: type[Exception]
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise kind("secret path")

    monkeypatch.setattr(serving, "popular", fail)
    with caplog.at_level(logging.ERROR):
        response = call("GET", "/popular", scope="read")
    assert (response.status_code, response.data["type"]) == (500, "/problems/internal-error")
    assert "secret" not in response.content.decode()
    assert response.data["reference"] in caplog.text
    assert "secret path" in caplog.text


def test_a_client_that_hangs_up_is_no_fault(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang_up(*args: Any) -> None:
        raise UnreadablePostError("gone")

    monkeypatch.setattr("django.test.client.FakePayload.read", hang_up)
    response = call("POST", "/events", event(), "ingest")
    assert (response.status_code, response.data["type"]) == (400, "/problems/unreadable-body")


def test_a_thousand_and_one_parameters(call: Call) -> None:
    response = call("GET", "/popular?" + "&".join(f"a{n}=1" for n in range(1001)), scope="read")
    assert (response.status_code, response.data["type"]) == (400, "/problems/bad-request")


def subclasses(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_what_services_refuse_is_never_a_500() -> None:
    refused = subclasses(service_errors.Refused) | {engine_errors.InvalidConfig, engine_errors.Unreadable}
    assert problems.kind_of(service_errors.Busy("why")).status == 503
    for kind in refused - {service_errors.Busy}:
        assert 400 <= problems.kind_of(kind("why")).status < 500
    assert problems.kind_of(RecommenderError("why")).status == 500


def test_every_slug_means_one_thing() -> None:
    meanings: dict[str, int] = {}
    for kind in problems.KINDS:
        assert meanings.setdefault(kind.slug, kind.status) == kind.status
        assert problems.TITLES[kind.slug].endswith(".")


def test_health_is_open_and_says_what_serves(call: Call, shop: list[Item]) -> None:
    response = call("GET", "/health", scope=None)
    assert response.data == {"status": "ok", "live_run": None, "model": False, "database": True}


def test_health_is_degraded_while_the_live_model_cannot_be_opened(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "live", lambda: serving.Live(7, None))
    response = call("GET", "/health", scope=None)
    assert (response.status_code, response.data["status"], response.data["live_run"]) == (200, "degraded", 7)


def test_the_caller_of_these_tests_would_notice(call: Call) -> None:
    response = call("GET", "/health", scope=None)
    response.content = b'{"status": "fine"}'
    with pytest.raises(ValueError, match="validation error"):
        conforms("GET", f"{BASE}/health", response)
