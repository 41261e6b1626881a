"""JSON in and out: read so that one strange number does not spoil a batch, written so that every parser can read it."""

import json
from collections.abc import Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse
from ninja.parser import Parser

LONGEST_INTEGER = 400  # digits; Python refuses to read integers of more than 4,300 at all


def _integer(digits: str) -> int | float:
    """A number too long to be meant becomes infinity, which the checks of the values refuse with a reason."""
    return int(digits) if len(digits) <= LONGEST_INTEGER else float(digits)


JSON = DjangoJSONEncoder(allow_nan=False, separators=(",", ":"))


class LenientParser(Parser):
    """NaN, Infinity and endless integers are read as numbers, so that they cost their row and not the whole batch."""

    def parse_body(self, request: HttpRequest) -> Any:
        return json.loads(request.body, parse_int=_integer)


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A JSON response. Answers depend on the key and the moment, so no cache keeps them."""
    return HttpResponse(
        JSON.encode(data),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
