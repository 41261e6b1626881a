"""Written-out queries whose rows come as Django gives them: on the path of every answer, Django takes longer to write a
query than a database to answer it."""

import json
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

from django.db import connection
from django.db.models import JSONField, Model

REMEMBERED = 20_000  # different values of one column: prices, moments


@cache
def _readers(model: type[Model], names: tuple[str, ...], vendor: str) -> list[tuple[int, Callable[[Any], Any]]]:
    """What has to be done to values of some columns, by their place; columns that need nothing are left out."""
    found: list[tuple[int, Callable[[Any], Any]]] = []
    for place, name in enumerate(names):
        field = model._meta.get_field(name.removesuffix("_id"))
        column: Any = field.get_col(model._meta.db_table)  # type: ignore[union-attr]  # columns only are asked for
        steps = connection.ops.get_db_converters(column) + column.get_db_converters(connection)
        if isinstance(field, JSONField):
            found.append((place, json.loads))
        elif steps:
            found.append((place, _reader(column, tuple(steps))))
    return found


def _reader(column: Any, steps: tuple[Callable[..., Any], ...]) -> Callable[[Any], Any]:
    @lru_cache(REMEMBERED)
    def read(value: Any) -> Any:
        for step in steps:
            value = step(value, column, connection)
        return value

    return read


def fetched(
    query: str, values: Sequence[Any], model: type[Model], names: tuple[str, ...] = ()
) -> list[list[Any]] | list[tuple[Any, ...]]:
    """The rows of a query whose first columns are these of a model, in this order."""
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        rows = cursor.fetchall()
    readers = _readers(model, names, connection.vendor) if rows else []
    if not readers:
        return rows
    found = [list(row) for row in rows]
    for place, read in readers:
        for row in found:
            if row[place] is not None:
                row[place] = read(row[place])
    return found
