"""Tests of an item's attributes: in the database, where SQLite and PostgreSQL each say it their own way, and here."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from django.db import NotSupportedError
from django.db.models import BooleanField, F, Func

Sql = tuple[str, list[Any]]


class AttributeTest(Func):
    """Whether what lies at a path of an item's attributes passes a test. Never NULL, so that NOT means not.

    `operator` is in, <, <=, >, >=, contains (its value a regular expression), has or empty; numbers are floats.
    """

    output_field = BooleanField()

    def __init__(self, names: Sequence[str], operator: str, values: Sequence[Any], column: str = "attributes") -> None:
        super().__init__(F(column))
        self.names, self.operator, self.values = tuple(names), operator, tuple(values)

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> Any:  # type: ignore[override]
        raise NotSupportedError("Conditions on attributes are for SQLite and PostgreSQL.")

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Sql:  # type: ignore[override]
        column, before = compiler.compile(self.source_expressions[0])
        # As Django's json.dumps wrote the names into the table: SQLite compares them letter by letter.
        at = [*before, "$" + "".join(f".{json.dumps(name)}" for name in self.names)]
        kind, value = f"JSON_TYPE({column}, %s)", f"JSON_EXTRACT({column}, %s)"
        if self.operator == "empty":
            bare = f"NOT EXISTS(SELECT 1 FROM JSON_EACH({column}, %s))"  # noqa: S608
            cases = (
                f"WHEN 'null' THEN 1 WHEN 'text' THEN {value} = '' WHEN 'array' THEN {bare} WHEN 'object' THEN {bare}"
            )
            return f"CASE COALESCE({kind}, 'null') {cases} ELSE 0 END", at * 4
        if self.operator == "contains":
            return f"CASE {kind} WHEN 'text' THEN {value} REGEXP %s ELSE 0 END", [*at, *at, *self.values]
        if self.operator == "has":
            told, params = self._among("held.type", "held.value", [])
            each = f"SELECT 1 FROM JSON_EACH({column}, %s) AS held WHERE {told}"  # noqa: S608
            return f"CASE {kind} WHEN 'object' THEN 0 ELSE EXISTS({each}) END", [*at, *at, *params]
        if self.operator == "in":
            told, params = self._among(kind, value, at)
            return f"COALESCE({told}, 0)", params
        number = f"{value} {self.operator} %s"
        return f"CASE WHEN {kind} IN ('integer', 'real') THEN {number} ELSE 0 END", [*at, *at, *self.values]

    def _among(self, kind: str, value: str, at: list[Any]) -> Sql:
        """For SQLite: whether it is one of the values, each compared with its own kind only."""
        parts, params = [], []
        for kinds, found in (
            (["text"], [one for one in self.values if isinstance(one, str)]),
            (["integer", "real"], [one for one in self.values if isinstance(one, float)]),
        ):
            if found:
                parts.append(f"({kind} IN ({_marks(kinds)}) AND {value} IN ({_marks(found)}))")
                params += [*at, *kinds, *at, *found]
        if flags := [json.dumps(one) for one in self.values if isinstance(one, bool)]:
            parts.append(f"{kind} IN ({_marks(flags)})")
            params += [*at, *flags]
        return f"({' OR '.join(parts)})", params

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Sql:
        column, before = compiler.compile(self.source_expressions[0])
        found, at = column + " -> %s::text" * len(self.names), [*before, *self.names]
        if self.operator == "empty":
            empty = "'null'::jsonb, '\"\"'::jsonb, '[]'::jsonb, '{}'::jsonb"
            return f"COALESCE(({found}) IN ({empty}), TRUE)", at
        if self.operator == "contains":
            test = f"(({found}) #>> '{{}}') ~ %s"
            return f"CASE jsonb_typeof({found}) WHEN 'string' THEN {test} ELSE FALSE END", [*at, *at, *self.values]
        if self.operator in ("in", "has"):
            values = [json.dumps(one, ensure_ascii=False) for one in self.values]
            if self.operator == "in":
                return f"COALESCE(({found}) IN ({_marks(values, '%s::jsonb')}), FALSE)", [*at, *values]
            held = f"({found}) @> ANY(ARRAY[{_marks(values, '%s::jsonb')}])"
            return f"COALESCE({held}, FALSE)", [*at, *values]
        test = f"(({found}) #>> '{{}}')::numeric {self.operator} %s::numeric"
        params = [*at, *at, *map(repr, self.values)]
        return f"CASE jsonb_typeof({found}) WHEN 'number' THEN {test} ELSE FALSE END", params


def member(values: Sequence[Any]) -> Callable[[Any], bool]:
    """Whether something is one of these texts, floats or booleans, each compared with its own kind only."""
    numbers = frozenset(one for one in values if type(one) is float)
    by_type = {
        str: frozenset(one for one in values if type(one) is str),
        bool: frozenset(one for one in values if type(one) is bool),
        int: numbers,
        float: numbers,
    }

    def among(found: Any) -> bool:
        chosen = by_type.get(type(found))
        return chosen is not None and found in chosen

    return among


def _marks(values: Sequence[Any], mark: str = "%s") -> str:
    return ", ".join([mark] * len(values))
