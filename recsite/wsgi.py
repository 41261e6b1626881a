"""WSGI entry point: `granian --interface wsgi recsite.wsgi:application`."""

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from multiprocessing.util import register_after_fork
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import LimitedStream
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.http import HttpResponse
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsite.settings")
django = get_wsgi_application()

from recommender.services import serving  # noqa: E402  Django has to be set up first
from recommender.services.experiments import answers  # noqa: E402
from recommender.services.screening import access_log  # noqa: E402
from recommender.services.serving import live_model  # noqa: E402
from recsite.admission import Admission, come_back, is_always_admitted  # noqa: E402

log = logging.getLogger(__name__)

live_model.start()

MOST_DRAINED = 32 * 1024 * 1024  # bytes of a refused body that are taken and thrown away
BLOCK = 64 * 1024  # bytes at once
admission = Admission(settings.WEB_IN_WORK, settings.WEB_IN_LINE, settings.WEB_WAIT_MS / 1000)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Django, for as many requests at once as it can answer in time."""
    announced = environ.get("CONTENT_LENGTH") or ""
    length = int(announced) if announced.isascii() and announced.isdigit() and len(announced) < 18 else 0
    body = environ["wsgi.input"] = LimitedStream(environ["wsgi.input"], length)
    if 0 < length <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        with suppress(OSError):  # Django meets it again and knows what to say
            environ["wsgi.input"] = BytesIO(body.read())  # here, so that whoever sends slowly holds up nobody else
    path = environ.get("PATH_INFO", "")
    if is_always_admitted(path):
        return _answer(environ, start_response, body, length)
    place = admission.enter()
    if place is None:
        _drain(body, length)
        return come_back(path, start_response)
    try:
        return _answer(environ, start_response, body, length)
    finally:
        admission.leave(place)


def _answer(environ: dict[str, Any], start_response: Any, body: LimitedStream, length: int) -> Iterable[bytes]:
    response: Any = django(environ, start_response)
    _drain(body, length)
    if not isinstance(response, HttpResponse):  # a file, which is read as it is sent
        return response
    content = response.content
    response.close()
    return [content]  # which the server sends at once; anything else it would ask for piece by piece


def _drain(body: LimitedStream, length: int) -> None:
    """Take the rest of the body: a client that is still sending would never see the answer."""
    if length <= MOST_DRAINED:
        with suppress(OSError):  # the client is gone
            while body.read(BLOCK):
                pass


def begin(_: Admission) -> None:
    """What threads and the end of a process are for, anew in each process: this one and those forked from it."""
    for buffer in (access_log, answers):
        buffer.forget()
        buffer.start()


def warm() -> None:
    """What the first request would wait for: all modules, and the live model."""
    get_resolver().url_patterns  # noqa: B018  imports every view
    try:
        serving.live()
    except Exception as error:  # without a database, for one, the site has to start all the same
        log.warning("The live model is opened with the first request: %s", error)
    finally:
        connections.close_all()  # this thread asks no more


begin(admission)
register_after_fork(admission, begin)
warm()
