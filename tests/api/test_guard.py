"""Limits of the API: by key and by address, told as problems, and noted in the access log."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from recommender.models import Access, ApiKey, Item
from recommender.services import access
from recommender.services.screening import access_log, counters

from .conftest import BASE, Call

pytestmark = [pytest.mark.django_db, pytest.mark.database]

FROM = {"REMOTE_ADDR": "8.8.4.4"}


@pytest.fixture
def guard(settings: Any) -> Callable[..., None]:
    def guard(**limits: Any) -> None:
        settings.RECOMMENDER = {**settings.RECOMMENDER, "guard": {"limits": limits}}

    return guard


def test_a_key_s_limit_is_a_problem_with_a_time(call: Call, shop: list[Item], guard: Any) -> None:
    guard(key_requests={"hard": 3})
    for _ in range(3):
        assert call("GET", "/popular", scope="read").status_code == 200
    refused = call("GET", "/popular", scope="read")
    assert (refused.status_code, refused.data["type"]) == (429, "/problems/too-many-requests")
    assert 1 <= int(refused["Retry-After"]) <= 120
    assert "Try again in" in refused.data["detail"]
    assert call("GET", "/popular", scope="admin").status_code == 200  # another key is another's
    assert call("GET", "/health", scope=None).status_code == 200


def test_asking_for_one_item_after_the_other(call: Call, shop: list[Item], guard: Any) -> None:
    guard(key_items={"hard": 2})
    for item_id in ("print-0042", "print-0043", "print-0042"):
        assert call("GET", f"/items/{item_id}", scope="read").status_code == 200
    assert call("GET", "/items/book-1", scope="read").status_code == 429
    assert call("GET", "/popular", scope="read").status_code == 200


def test_an_address_that_guesses_waits(shop: list[Item], guard: Any, keys: dict[str, str]) -> None:
    guard(client_failures={"hard": 4})
    thief = Client(**FROM)
    got = [thief.get(f"{BASE}/popular", headers={"X-API-Key": f"rs_{n}"}).status_code for n in range(6)]
    assert got == [401] * 5 + [429]
    good = {"X-API-Key": keys["read"]}
    assert Client(REMOTE_ADDR="8.8.8.8").get(f"{BASE}/popular", headers=good).status_code == 200
    assert Client(REMOTE_ADDR="10.0.0.1").get(f"{BASE}/popular", headers=good).status_code == 200


def test_one_trip_to_the_cache_and_no_query(call: Call, shop: list[Item], settings: Any, monkeypatch: Any) -> None:
    trips: list[Any] = []
    count = counters.count
    monkeypatch.setattr(counters, "count", lambda counts: (counts and trips.append(counts)) or count(counts))
    call("GET", "/items/print-0042", scope="read")
    counted = []
    for on in (False, True):
        trips.clear()
        counters.forget()
        settings.RECOMMENDER = {**settings.RECOMMENDER, "guard": {"on": on}}
        with CaptureQueriesContext(connection) as queries:
            call("GET", "/items/print-0042", scope="read")
        counted.append((len(trips), len(queries)))
    assert counted[0][1] == counted[1][1]
    assert (counted[0][0], counted[1][0]) == (0, 1)
    call("GET", "/items/print-0042", scope="read")
    assert len(trips) == 1  # what comes at once goes along with the next


def test_the_access_log_knows_keys_by_their_prefix(shop: list[Item], keys: dict[str, str]) -> None:
    client = Client(**FROM)
    read = {"X-API-Key": keys["read"]}
    for item_id in ("print-0042", "print-0043", "no-such"):
        client.get(f"{BASE}/items/{item_id}", headers=read)
    client.get(f"{BASE}/popular", headers={"Authorization": f"Bearer {keys['read']}"})
    client.put(f"{BASE}/items/print-0042", b"{}", content_type="application/json", headers=read)  # 403
    client.get(f"{BASE}/popular", headers={"X-API-Key": "my password, sent by mistake"})
    client.get(f"{BASE}/nowhere")
    client.get(f"{BASE}/health")
    access_log.flush()
    prefix = ApiKey.objects.get(scopes=["read"]).prefix
    rows = Access.objects.order_by("who").values_list("door", "who", "client", "requests", "failures", "targets")
    assert list(rows) == [("api", "", "8.8.4.4", 2, 2, 0), ("api", prefix, "8.8.4.4", 5, 2, 3)]
    assert not any("password" in str(row) for row in rows)


def test_odd_keys_and_headers_are_no_fault(call: Call, shop: list[Item]) -> None:
    for key in ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "x" * 8000, "rs_\x00", "rs_名"):
        assert call("GET", "/popular", scope=None, **{"X-API-Key": key}).status_code == 401
    for headers in ({"Authorization": "Bearer"}, {"Authorization": "bearer  "}, {"X-Forwarded-For": "é,,"}):
        assert call("GET", "/popular", scope=None, **headers).status_code == 401
    access_log.flush()
    assert sum(Access.objects.values_list("failures", flat=True)) == 7


def test_a_key_is_told_by_its_hash_not_its_prefix(call: Call, shop: list[Item], guard: Any) -> None:
    """Whoever knows a prefix, which the console shows, cannot use up the key's limit."""
    guard(key_requests={"hard": 2})
    key, secret = access.create("shop", ["read"])
    for n in range(5):
        call("GET", "/popular", scope=None, **{"X-API-Key": key.prefix + str(n)})
    assert call("GET", "/popular", scope=None, **{"X-API-Key": secret}).status_code == 200
    assert hashlib.sha256(secret.encode()).hexdigest() == key.key_hash
