"""Who may call what."""

from typing import Any

import pytest
from django.test import Client

from recommender.api import auth
from recommender.models import ApiKey, Event, Item, Run
from recommender.services import access

from .conftest import BASE, Call
from .test_events import event

pytestmark = [pytest.mark.django_db, pytest.mark.database]

NEEDS = [
    ("POST", "/events", "ingest"),
    ("POST", "/events/batch", "ingest"),
    ("GET", "/recommendations?user_id=a", "read"),
    ("GET", "/popular", "read"),
    ("GET", "/items/print-0042", "read"),
    ("GET", "/items/print-0042/similar", "read"),
    ("GET", "/items/print-0042/bought-together", "read"),
    ("GET", "/items/print-0042/substitutes", "read"),
    ("GET", "/trending", "read"),
    ("GET", "/visitors/controls?user_id=a", "read"),
    ("PATCH", "/visitors/controls?user_id=a", "ingest"),
    ("POST", "/visitors/controls/reset?user_id=a", "ingest"),
    ("POST", "/visitors/controls/undo?user_id=a", "ingest"),
    ("POST", "/visitors/controls/forget-session?user_id=a", "ingest"),
    ("POST", "/assistant", "read"),
    ("GET", "/search?q=harbour", "read"),
    ("GET", "/search/suggest?q=harb", "read"),
    ("POST", "/search/photo", "read"),
    ("POST", "/search/sound", "read"),
    ("PUT", "/items/print-0042", "admin"),
    ("POST", "/runs", "admin"),
    ("GET", "/runs", "admin"),
    ("GET", "/runs/1", "admin"),
    ("POST", "/runs/1/cancel", "admin"),
    ("POST", "/runs/1/publish", "admin"),
    ("POST", "/rollback", "admin"),
]


@pytest.mark.parametrize(("method", "path", "scope"), NEEDS)
def test_every_route_asks_for_a_key_with_its_scope(
    call: Call, shop: list[Item], method: str, path: str, scope: str
) -> None:
    without = call(method, path, scope=None)
    assert (without.status_code, without.data["type"]) == (401, "/problems/invalid-api-key")
    assert without["WWW-Authenticate"].startswith("Bearer")
    for other in {"ingest", "read"} - {scope}:
        refused = call(method, path, scope=other)
        assert (refused.status_code, refused.data["type"]) == (403, "/problems/missing-scope")
        assert scope in refused.data["detail"]
    for good in {scope, "admin"}:
        assert call(method, path, scope=good).status_code not in {401, 403, 500}
    assert not Event.objects.exists()


def test_the_table_above_names_every_route_that_needs_a_key() -> None:
    from .conftest import document

    guarded = {
        (method.upper(), path.removeprefix(BASE))
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
        if "security" in operation
    }
    listed = {
        (method, path.split("?")[0].replace("print-0042", "{item_id}").replace("/1", "/{run_id}"))
        for method, path, _ in NEEDS
    }
    assert guarded == listed


@pytest.mark.parametrize("key", ["", " ", "rs_wrong", "x" * 5000, "é", "rs_\x00"])
def test_a_wrong_key_is_no_key(call: Call, key: str) -> None:
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        assert call("GET", "/popular", scope=None, **headers).status_code == 401


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer", "bearer ", "Token abc", ","])
def test_another_kind_of_authorization_is_no_key(call: Call, value: str) -> None:
    assert call("GET", "/popular", scope=None, Authorization=value).status_code == 401


def test_a_bearer_token_is_the_same_key(call: Call, keys: dict[str, str]) -> None:
    for value in (f"Bearer {keys['read']}", f"bearer {keys['read']}"):
        assert call("GET", "/popular", scope=None, Authorization=value).status_code == 200
    assert call("POST", "/events", event(), scope=None, Authorization=f"Bearer {keys['read']}").status_code == 403


def test_a_revoked_key_stops_at_once(call: Call) -> None:
    assert call("GET", "/popular", scope="read").status_code == 200
    access.revoke(ApiKey.objects.get(scopes=["read"]))
    assert call("GET", "/popular", scope="read").status_code == 401


def test_only_the_hash_is_kept(keys: dict[str, str]) -> None:
    for row in ApiKey.objects.values():
        assert not any(secret in str(row) for secret in keys.values())


def test_a_staff_session_is_no_key(admin_client: Client) -> None:
    for method, path, _ in NEEDS:
        assert admin_client.generic(method, BASE + path).status_code == 401


def test_a_public_route_reads_no_session(call: Call, keys: dict[str, str], django_assert_num_queries: Any) -> None:
    call("GET", "/health", scope=None)
    with django_assert_num_queries(1):  # the live pointer
        call("GET", "/health", scope=None, Cookie=f"sessionid={'s' * 32}; csrftoken={'c' * 32}")


def test_the_key_that_asked_is_noted(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    call("POST", "/runs")
    assert Run.objects.get().requested_by == "API key: test admin"
    assert auth.ADMIN[0].scope == "admin"  # type: ignore[attr-defined]
