"""The entry point of every request: whoever sends too much still gets the answer."""

import io
from collections.abc import Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from recsite.wsgi import MOST_DRAINED, application

pytestmark = [pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """A request would close the connection that holds the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize(
    ("path", "length", "left", "status"),
    [
        ("/api/v1/events", 10_000_000, 0, "413"),
        ("/beacon/", 10_000_000, 0, "403"),
        ("/api/v1/events", MOST_DRAINED + 1, MOST_DRAINED + 1, "413"),
    ],
)
def test_a_refused_body_is_taken_up_to_a_limit(path: str, length: int, left: int, status: str) -> None:
    body, said = io.BytesIO(b"x" * length), []
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ |= {"REQUEST_METHOD": "POST", "PATH_INFO": path, "HTTP_HOST": "localhost", "wsgi.input": body}
    environ |= {"CONTENT_LENGTH": str(length), "CONTENT_TYPE": "application/json"}
    answer = b"".join(application(environ, lambda line, headers: said.append(line)))
    assert said[0].startswith(status)
    assert answer
    assert length - body.tell() == left


@pytest.mark.parametrize("announced", ["", "abc", "-5", "9" * 30])
def test_an_odd_length_is_no_fault(announced: str) -> None:
    said: list[str] = []
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ |= {"PATH_INFO": "/categories/", "HTTP_HOST": "localhost", "CONTENT_LENGTH": announced}
    environ |= {"wsgi.input": io.BytesIO(b"x")}
    assert b"".join(application(environ, lambda line, headers: said.append(line)))
    assert said == ["200 OK"]
