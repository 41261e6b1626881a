"""Admission: so many at once, a moment in line, a 503 for the rest, and nobody is forgotten."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
import yaml

from recommender.management import web_server
from recommender.services.errors import Busy
from recsite import admission, wsgi
from recsite.admission import Admission, _Turn
from tests.deployment.test_docker import DOCKERFILE
from tests.test_wsgi import _one_connection  # noqa: F401  for the tests with a database


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_as_many_as_may_work_do_and_the_next_waits_for_one_of_them(pool: ThreadPoolExecutor) -> None:
    door = Admission(in_work=2, in_line=1, wait_s=0.01)
    first, second = door.enter(), door.enter()
    assert first and second
    waiting = pool.submit(door.enter)
    eventually(lambda: len(door._line) == 1)
    assert door.enter() is None  # the line is full: at once
    door.leave(first)
    third = waiting.result(5)
    assert third
    assert (len(door.at_work), door.shed) == (2, 1)
    door.leave(second)
    door.leave(third)
    assert not door.at_work


def test_a_crowd_is_served_in_its_order_and_an_overload_from_its_end(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "BURST_S", 5.0)

    def order(door: Admission) -> list[int]:
        came: list[int] = []
        places = [door.enter()]

        def come(number: int) -> None:
            places.append(door.enter())
            came.append(number)

        for number in range(3):
            pool.submit(come, number)
            eventually(lambda number=number: len(door._line) == number + 1)
        for number in range(3):
            door.leave(places[-1])
            eventually(lambda number=number: len(came) == number + 1)
        return came

    assert order(Admission(1, 3, 5.0)) == [0, 1, 2]
    monkeypatch.setattr(admission, "BURST_S", -1.0)  # every line is an overload
    assert order(Admission(1, 3, 5.0)) == [2, 1, 0]


def test_who_waited_long_enough_is_turned_away_and_takes_no_place(pool: ThreadPoolExecutor) -> None:
    door = Admission(in_work=1, in_line=4, wait_s=0.01)
    assert door.enter()
    door._stands_since, began = -1e9, time.monotonic()
    door._line.append(_Turn())  # somebody who has been there all the time
    assert door.enter() is None
    assert time.monotonic() - began < 0.25 < admission.BURST_S
    assert len(door._line) == 1


def test_no_place_is_lost_however_they_come_and_go(pool: ThreadPoolExecutor) -> None:
    door, most, lock = Admission(in_work=2, in_line=3, wait_s=0.001), [0], threading.Lock()
    at_once = [0]

    def come(number: int) -> bool:
        place = door.enter()
        if place is None:
            return False
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.0005)
        with lock:
            at_once[0] -= 1
        door.leave(place)
        return True

    admitted = list(pool.map(come, range(400)))
    assert most[0] == 2
    assert not door.at_work and not door._line
    assert sum(admitted) + door.shed == 400
    assert sum(admitted) > 0


def test_who_waits_for_something_else_gives_up_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Admission(in_work=1, in_line=1, wait_s=0.0)
    monkeypatch.setattr(admission, "BURST_S", 0.0)
    slow = door.enter()
    assert slow and door.enter() is None
    slow.since -= admission.SLOW_S
    second = door.enter()
    assert second and door.slow == 1
    second.since -= admission.SLOW_S
    assert door.enter() is None  # one was enough
    door.leave(slow)
    assert (list(door.at_work), door.slow) == ([second], 0)
    door.leave(second)
    assert not door.at_work


def ask(path: str, **environ: Any) -> tuple[str, dict[str, str], bytes]:
    asked: dict[str, Any] = {}
    setup_testing_defaults(asked)
    said: list[Any] = []
    asked |= {"PATH_INFO": path, "HTTP_HOST": "localhost", **environ}
    body = b"".join(wsgi.application(asked, lambda status, headers: said.extend((status, dict(headers)))))
    return said[0], said[1], body


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has no place left."""
    door = Admission(in_work=1, in_line=0, wait_s=0.0)
    door.enter()
    monkeypatch.setattr(wsgi, "admission", door)


def test_a_client_that_is_turned_away_is_told_in_a_problem_document(full: None) -> None:
    status, headers, body = ask("/api/v1/recommendations/\xc3\xa9")
    told = json.loads(body)
    assert status.startswith("503") and headers["Retry-After"] == "5"
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Content-Length"] == str(len(body))
    assert (told["status"], told["type"], told["title"]) == (503, "/problems/busy", (Busy.__doc__ or "").strip())
    assert told["instance"].isascii() and told["instance"].startswith("/api/v1/recommendations/")


def test_a_shopper_who_is_turned_away_gets_the_shops_own_page(full: None) -> None:
    status, headers, body = ask("/")
    assert status.startswith("503") and headers["Retry-After"] == "5"
    assert b"The shop is busy" in body


@pytest.mark.django_db
def test_monitors_and_files_are_always_admitted(full: None) -> None:
    assert ask("/api/v1/health")[0] == "200 OK"
    assert ask("/media/none.webp")[0] == "404 Not Found"
    assert ask("/static/none.css")[0] == "404 Not Found"


@pytest.mark.django_db
def test_a_place_is_given_back_after_an_answer_and_after_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Admission(in_work=1, in_line=0, wait_s=0.0)
    monkeypatch.setattr(wsgi, "admission", door)
    assert ask("/nowhere/")[0] == "404 Not Found"
    assert not door.at_work

    def fail(*args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(wsgi, "django", fail)
    with pytest.raises(RuntimeError):
        ask("/")
    assert not door.at_work


def test_admission_costs_microseconds_where_nobody_waits() -> None:
    door, began = Admission(4, 20, 0.05), time.process_time()
    for _ in range(10_000):
        place = door.enter()
        assert place
        door.leave(place)
    assert (time.process_time() - began) / 10_000 < 20e-6


def test_the_image_starts_the_web_server_as_the_launcher_does() -> None:
    [command] = [line[4:] for line in DOCKERFILE.splitlines() if line.startswith('CMD ["python", "-m", "recsite.web"')]
    launched = web_server.command("0.0.0.0", 8000, 2)[1:]
    assert sorted(yaml.safe_load(command)[1:]) == sorted(launched)
