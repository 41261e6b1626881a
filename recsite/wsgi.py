"""WSGI entry point: `granian --interface wsgi recsite.wsgi:application`."""

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.core.handlers.wsgi import LimitedStream
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsite.settings")
django = get_wsgi_application()

from recommender.services.screening import access_log  # noqa: E402  Django has to be set up first

access_log.start()

MOST_DRAINED = 32 * 1024 * 1024  # bytes of a refused body that are taken and thrown away
BLOCK = 64 * 1024  # bytes at once


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Django, after which the rest of the body is taken: a client that is still sending would never see the answer."""
    announced = environ.get("CONTENT_LENGTH") or ""
    length = int(announced) if announced.isascii() and announced.isdigit() and len(announced) < 18 else 0
    body = environ["wsgi.input"] = LimitedStream(environ["wsgi.input"], length)
    answer: Iterable[bytes] = django(environ, start_response)
    if length <= MOST_DRAINED:
        with suppress(OSError):  # the client is gone
            while body.read(BLOCK):
                pass
    return answer
