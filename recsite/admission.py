"""How many requests a web process works on at once, who waits, and who is told to come back: decided before Django.

So many are in work, the next ones wait in line for a moment, and the rest get a 503 at once, which costs next to
nothing: what is admitted stays quick however much is asked. A crowd that comes all at once may wait longer than one
that does not end (after "Fail at Scale", Maurer, ACM Queue 13(8), 2015: controlled delay, and the newest first).
"""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from functools import cache
from typing import Any

from django.template import loader
from django.utils.encoding import escape_uri_path

from recommender.api import problems
from recommender.services.errors import Busy

log = logging.getLogger(__name__)

BURST_S = 0.3  # seconds that a line may stand before it is an overload; until then, whoever waits gets as much
SLOW_S = 1.0  # seconds of work after which a request no longer counts: what computes here is done by then
TOLD_EVERY_S = 10.0  # between two lines of the log
RETRY_AFTER_S = 5
# Files, which cost little and whose absence breaks a page that was admitted, and what monitors ask.
ALWAYS = ("/static/", "/media/", "/api/v1/health")


class Place:
    """Of one request that is worked on."""

    __slots__ = ("given_up", "since")

    def __init__(self, since: float) -> None:
        self.since, self.given_up = since, False


class Admission:
    """At most `in_work` at once, and `in_line` waiting, up to `wait_s` seconds each while the line never ends.

    Who has been at work for SLOW_S waits for something else, such as a language model, and gives up the place; as many
    may do so as may wait in line.
    """

    def __init__(self, in_work: int, in_line: int, wait_s: float) -> None:
        self.in_work, self.in_line, self.wait_s = in_work, in_line, wait_s
        self.shed = self.slow = 0
        self.at_work: dict[Place, None] = {}  # the eldest first
        self._line: deque[_Turn] = deque()
        self._stands_since = self._told_at = 0.0
        self._lock = threading.Lock()

    def enter(self) -> Place | None:
        """The request's place, to be given back by `leave`; None where it is turned away. May wait."""
        now = time.monotonic()
        with self._lock:
            if len(self.at_work) < self.in_work or self._one_gives_up(now):
                return self._place(now)
            if not self._line:
                self._stands_since = now
            overload = now - self._stands_since > BURST_S
            if len(self._line) >= self.in_line:
                self._turn_away(now)
                return None
            turn = _Turn()
            self._line.append(turn)
        turn.called.acquire(timeout=self.wait_s if overload else BURST_S)
        with self._lock:
            if turn.place is None:
                self._line.remove(turn)
                self._turn_away(time.monotonic())
        return turn.place

    def leave(self, place: Place) -> None:
        with self._lock:
            if place.given_up:
                self.slow -= 1
                return
            del self.at_work[place]
            if self._line:
                now = time.monotonic()
                # In an overload, the newest: the eldest have waited so long that their time is nearly over.
                turn = self._line.pop() if now - self._stands_since > BURST_S else self._line.popleft()
                turn.place = self._place(now)
                turn.called.release()

    def _place(self, now: float) -> Place:
        place = Place(now)
        self.at_work[place] = None
        return place

    def _one_gives_up(self, now: float) -> bool:
        eldest = next(iter(self.at_work))
        if now - eldest.since < SLOW_S or self.slow >= self.in_line:
            return False
        del self.at_work[eldest]
        eldest.given_up = True
        self.slow += 1
        return True

    def _turn_away(self, now: float) -> None:
        self.shed += 1
        if now - self._told_at > TOLD_EVERY_S:
            log.warning("More is asked than can be answered: %d requests were turned away so far.", self.shed)
            self._told_at = now


class _Turn:
    """Of one request that waits."""

    __slots__ = ("called", "place")

    def __init__(self) -> None:
        self.place: Place | None = None
        self.called = threading.Lock()
        self.called.acquire()


def is_always_admitted(path: str) -> bool:
    return path.startswith(ALWAYS)


def come_back(path: str, start_response: Any) -> Iterable[bytes]:
    """The answer to a request that is turned away, in the form its door has: a problem or a page. 503, Retry-After."""
    if path.startswith("/api/"):
        kind = problems.TABLE[Busy]
        detail = f"Send the same request again in {RETRY_AFTER_S} seconds."
        document = {"type": f"/problems/{kind.slug}", "title": problems.TITLES[kind.slug], "status": 503}
        body = json.dumps({**document, "detail": detail, "instance": escape_uri_path(path)}).encode()
        media_type = problems.MEDIA_TYPE
    else:
        body, media_type = _page(), "text/html; charset=utf-8"
    headers = [("Content-Type", media_type), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    start_response("503 Service Unavailable", [*headers, ("Retry-After", str(RETRY_AFTER_S))])
    return [body]


@cache
def _page() -> bytes:
    return loader.get_template("503.html").render().encode()
