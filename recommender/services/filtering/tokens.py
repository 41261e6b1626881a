"""A condition's text, cut into words, values and signs; each knows the column where it stands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NoReturn

from django.utils import timezone

from recommender.services.errors import InvalidInput
from recommender.services.filtering.fields import FIELDS, Span, Value

KEYWORDS = ("and", "or", "not", "in", "contains", "has", "is", "empty", "true", "false")
MAX_DIGITS = 15  # of a number: as many as every database keeps of one in JSON
YEARS = (1900, 2999)
SHOWN = 30  # characters of what was found, in an error

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text> "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' )
    | (?P<date> [0-9]{4}-[0-9]{2}-[0-9]{2}
        (?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)? (?![\w-]) )
    | (?P<number> -?[0-9]+(?:\.[0-9]+)? (?!\w) )
    | (?P<word> [^\W\d][\w-]* )
    | (?P<sign> != | <= | >= | [=<>(),.] )
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {'"': '"', "'": "'", "\\": "\\", "n": "\n", "t": "\t"}


@dataclass(frozen=True)
class Token:
    kind: str
    """text, date, number, word, sign or end."""
    text: str
    column: int
    """From 1."""
    value: Value | None = None

    @property
    def keyword(self) -> str:
        """The keyword that it is, in lower case; empty for anything else."""
        lower = self.text.lower()
        return lower if self.kind == "word" and lower in KEYWORDS else ""


def refuse(column: int, found: str, expected: str) -> NoReturn:
    found = found if len(found) <= SHOWN else f"{found[:SHOWN]}…"
    named = ", ".join(name if name != "attributes" else "attributes.NAME" for name in FIELDS)
    raise InvalidInput(f"Column {column}: found {found}, expected {expected}. Fields: {named}.", column=column)


def tokens(text: str) -> Iterator[Token]:
    """Raises InvalidInput for what is no part of a condition."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            rest = text[at:].lstrip()
            if not rest:
                break
            column = len(text) - len(rest) + 1
            ended = rest[0] in "\"'"
            refuse(column, rest, "a text that ends with its quote" if ended else "a field, a value or a sign")
        kind, found = match.lastgroup, match[match.lastgroup]
        yield Token(kind, found, match.start(kind) + 1, _value(kind, found, match.start(kind) + 1))
        at = match.end()
    yield Token("end", "the end", len(text) + 1)


def _value(kind: str, found: str, column: int) -> Value | None:
    if kind == "text":
        for escape in _ESCAPE.finditer(found, 1, len(found) - 1):
            if escape[1] not in _ESCAPED:
                refuse(column + escape.start(), escape[0], "one of \\\" \\' \\\\ \\n \\t")
        return _ESCAPE.sub(lambda escape: _ESCAPED[escape[1]], found[1:-1])
    if kind == "number":
        if sum(one.isdigit() for one in found) > MAX_DIGITS:
            refuse(column, found, f"a number of at most {MAX_DIGITS} digits")
        return Decimal(found)
    if kind == "date":
        return _span(found, column)
    return {"true": True, "false": False}.get(found.lower()) if kind == "word" else None


def _span(found: str, column: int) -> Span:
    """A day of the site's time zone, or an instant."""
    try:
        moment = datetime.fromisoformat(found)
        if not YEARS[0] <= moment.year <= YEARS[1]:
            raise ValueError
    except ValueError:
        refuse(column, found, f"a date of the calendar, from {YEARS[0]} to {YEARS[1]}")
    zone = timezone.get_default_timezone()
    if "T" in found:
        low = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        return Span(low.astimezone(UTC), low.astimezone(UTC) + timedelta(microseconds=1))
    low, high = moment.replace(tzinfo=zone), (moment + timedelta(days=1)).replace(tzinfo=zone)
    return Span(low.astimezone(UTC), high.astimezone(UTC))
