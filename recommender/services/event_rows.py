"""The table of events written many rows at once: no object of Django's is made for a row, and one statement does it."""

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any

from django.db import connection

from recommender.models import Event


@dataclass(slots=True)
class EventRow:
    """One event that is not saved yet: the columns of its table, valid already."""

    event_id: uuid.UUID
    kind: str
    visitor_id: str
    item_id: str
    value: float | None
    occurred_at: datetime
    received_at: datetime
    session: str = ""
    rec_id: uuid.UUID | None = None
    run_id: int | None = None
    shelf: str = ""
    position: int | None = None
    flag: str = ""


COLUMNS = tuple(field.name for field in fields(EventRow))
_values = attrgetter(*COLUMNS)
_turn = threading.Lock()


def insert(rows: Sequence[EventRow]) -> int:
    """Insert the rows whose event_id is not there yet, in their order; returns how many that were.

    Raises IntegrityError, at the latest with the transaction's end, where a visitor, an item or a run is gone.
    """
    if not rows:
        return 0
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # An array for each column: thirteen parameters instead of thirteen for every row.
            cursor.execute(_statement("postgresql"), [list(column) for column in zip(*map(_values, rows), strict=True)])
        else:
            moment = connection.ops.adapt_datetimefield_value
            cursor.executemany(_statement(connection.vendor), [_plain(row, moment) for row in rows])
        return int(cursor.rowcount)


@contextmanager
def turn() -> Iterator[None]:
    """To be held around a transaction that writes many rows.

    SQLite takes one writer at a time and lets the others try again now and then, the unlucky ones only after half a
    second. Those of one process wait in line here instead, and the next goes on at once.
    """
    with _turn if connection.vendor == "sqlite" else nullcontext():
        yield


@cache
def _statement(vendor: str) -> str:
    places = ["%s"] * len(COLUMNS)
    values = f"VALUES ({', '.join(places)})"
    if vendor == "postgresql":
        types = [Event._meta.get_field(name).db_type(connection) for name in COLUMNS]
        values = f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in types)})"  # noqa: S608
    table = connection.ops.quote_name(Event._meta.db_table)
    return f"INSERT INTO {table} ({', '.join(COLUMNS)}) {values} ON CONFLICT (event_id) DO NOTHING"


def _plain(row: EventRow, moment: Any) -> tuple[Any, ...]:
    """For SQLite, which has neither UUIDs nor moments."""
    event_id, kind, visitor_id, item_id, value, occurred_at, received_at, session, rec_id, *rest = _values(row)
    written = moment(occurred_at), moment(received_at)
    return (event_id.hex, kind, visitor_id, item_id, value, *written, session, rec_id and rec_id.hex, *rest)
