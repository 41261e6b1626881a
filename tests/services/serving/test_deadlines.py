"""A source that is late, fails or is stuck costs its own candidates, not the answer."""

import threading
import time

import pytest

from recommender.conf import ServingSettings
from recommender.services.serving import deadlines
from recommender.services.serving.deadlines import Budget

QUICK = ServingSettings(source_ms=20, deadline_ms=10_000)


@pytest.fixture(autouse=True)
def _anew():
    deadlines.forget()
    yield
    deadlines.forget()


def slow() -> str:
    time.sleep(QUICK.source_ms / 1000 * deadlines.MUCH * 1.1)
    return "late"


def test_quick_sources_answer_in_their_order_and_in_the_request_s_own_thread():
    found = Budget(QUICK).all([("one", threading.get_ident), ("two", lambda: 2)])
    assert found == {"one": threading.get_ident(), "two": 2}


def test_a_source_that_fails_is_left_out(caplog):
    def fail() -> str:
        raise FloatingPointError("broken")

    assert Budget(QUICK).all([("bad", fail), ("good", lambda: "here")]) == {"good": "here"}
    assert "bad failed" in caplog.text


def test_a_source_that_was_late_is_not_waited_for_again(caplog):
    assert Budget(QUICK).ask("slow", slow) == "late"  # nobody could know
    assert "slow is late" in caplog.text
    begun = time.monotonic()
    assert Budget(QUICK).ask("slow", slow) is None
    assert time.monotonic() - begun < 0.045
    assert Budget(QUICK).ask("slow", lambda: "in time") == "in time"  # beside, and quick again


def test_a_little_too_late_is_forgiven_unless_it_happens_often():
    def unlucky() -> int:
        time.sleep(QUICK.source_ms / 1000 * 1.2)
        return threading.get_ident()

    for _ in range(2):
        assert Budget(QUICK).ask("unlucky", unlucky) == threading.get_ident()
    for _ in range(round(1 / deadlines.OFTEN)):
        assert Budget(QUICK).ask("unlucky", threading.get_ident) == threading.get_ident()
    for _ in range(3):
        assert Budget(QUICK).ask("unlucky", unlucky) == threading.get_ident()
    assert Budget(QUICK).ask("unlucky", unlucky) is None


def test_after_a_while_it_is_trusted_again(monkeypatch):
    Budget(QUICK).ask("slow", slow)
    later = time.monotonic() + deadlines.WATCHED_S + 1
    monkeypatch.setattr(deadlines.time, "monotonic", lambda: later)
    assert Budget(QUICK).ask("slow", threading.get_ident) == threading.get_ident()


def test_a_source_that_is_stuck_is_not_asked_without_end():
    Budget(QUICK).ask("stuck", slow)
    release, asked = threading.Event(), []

    def stuck() -> None:
        asked.append(1)
        release.wait(5)

    for _ in range(deadlines.STUCK + 3):
        assert Budget(QUICK).ask("stuck", stuck) is None
    assert len(asked) == deadlines.STUCK
    release.set()


def test_when_the_time_for_the_answer_is_over_nothing_more_is_asked():
    budget = Budget(ServingSettings(source_ms=10_000, deadline_ms=20))
    assert budget.all([("slow", slow), ("never", lambda: "asked")]) == {"slow": "late"}
