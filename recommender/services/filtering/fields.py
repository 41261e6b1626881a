"""What a condition may speak of: each field as a test of an item in memory and as one of the database, side by side.

Both always agree, and neither ever says "unknown": a comparison with what is missing is false, its negation true.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from operator import attrgetter, ge, gt, le, lt
from typing import Any

from django.db.models import Q
from django.utils import timezone

from recommender.models import Category, Item
from recommender.services.filtering.attributes import AttributeTest, member

Test = Callable[[Item], bool]

ORDERED: Mapping[str, tuple[Callable[[Any, Any], bool], str]] = {
    "<": (lt, "lt"),
    "<=": (le, "lte"),
    ">": (gt, "gt"),
    ">=": (ge, "gte"),
}
MOST_STOCK = 2_147_483_647  # the largest of PostgreSQL's integer
MOST_PRICE = 100_000_000  # a price has ten digits, two of them decimals
MOST_DAYS = 36_525


@dataclass(frozen=True)
class Span:
    """A day or an instant as it was written: from `low` up to, not including, `high`."""

    low: datetime
    high: datetime


Value = str | Decimal | bool | Span


@dataclass(frozen=True)
class Comparison:
    """One term. `operator` is in (also for =), <, <=, >, >=, contains, has or empty; `names` lead into attributes."""

    field: str
    names: tuple[str, ...]
    operator: str
    values: tuple[Value, ...]

    def test(self) -> Test:
        return FIELDS[self.field].test(self)

    def as_q(self) -> Q:
        return FIELDS[self.field].as_q(self)


class Field:
    """One kind of fields; `column` is the item's."""

    operators: Sequence[str]
    expects: str

    def __init__(self, column: str = "") -> None:
        self.column = column

    def takes(self, value: Value, operator: str) -> bool:
        raise NotImplementedError

    def test(self, term: Comparison) -> Test:
        raise NotImplementedError

    def as_q(self, term: Comparison) -> Q:
        raise NotImplementedError


class Text(Field):
    operators = ("in", "contains", "empty")
    expects = "a text in quotes"

    def takes(self, value: Value, operator: str) -> bool:
        return isinstance(value, str) and (operator != "contains" or value != "")

    def test(self, term: Comparison) -> Test:
        get = attrgetter(self.column)
        if term.operator == "contains":
            search = re.compile(either_case(str(term.values[0]))).search
            return lambda item: search(get(item)) is not None
        chosen = frozenset(term.values or ("",))
        return lambda item: get(item) in chosen

    def as_q(self, term: Comparison) -> Q:
        if term.operator == "contains":
            return Q(**{f"{self.column}__regex": either_case(str(term.values[0]))})
        return Q(**{f"{self.column}__in": term.values or ("",)})


class InCategory(Field):
    operators = ("in", "empty")
    expects = "a category's slug in quotes"

    def takes(self, value: Value, operator: str) -> bool:
        return isinstance(value, str)

    def test(self, term: Comparison) -> Test:
        if term.operator == "empty":
            return lambda item: item.category_id is None
        chosen = frozenset(term.values)

        def test(item: Item) -> bool:
            if item.category_id in chosen:
                return True
            category = item.category
            return category is not None and category.parent_id in chosen

        return test

    def as_q(self, term: Comparison) -> Q:
        if term.operator == "empty":
            return Q(category_id__isnull=True)
        # Slugs rather than a join, so that the index of categories serves.
        slugs = Category.objects.filter(Q(slug__in=term.values) | Q(parent_id__in=term.values))
        return Q(category_id__in=slugs.order_by().values("slug"))


class Number(Field):
    """A column of numbers that may be empty."""

    operators = ("in", *ORDERED, "empty")

    def test(self, term: Comparison) -> Test:
        get = attrgetter(self.column)
        if term.operator == "empty":
            return lambda item: get(item) is None
        if term.operator == "in":
            chosen = frozenset(term.values)
            return lambda item: get(item) in chosen
        compare, value = ORDERED[term.operator][0], term.values[0]
        return lambda item: (found := get(item)) is not None and compare(found, value)

    def as_q(self, term: Comparison) -> Q:
        if term.operator == "empty":
            return Q(**{f"{self.column}__isnull": True})
        if term.operator == "in":
            return Q(**{f"{self.column}__in": term.values})
        return Q(**{f"{self.column}__{ORDERED[term.operator][1]}": term.values[0]})


class Price(Number):
    expects = f"a price from 0 to {MOST_PRICE - 1} with at most two decimals, such as 19.99"

    def takes(self, value: Value, operator: str) -> bool:
        return isinstance(value, Decimal) and 0 <= value < MOST_PRICE and value == round(value, 2)


class Stock(Number):
    expects = f"a whole number from 0 to {MOST_STOCK}"

    def takes(self, value: Value, operator: str) -> bool:
        return isinstance(value, Decimal) and 0 <= value <= MOST_STOCK and value == int(value)


class Flag(Field):
    operators = ("in",)
    expects = "true or false"

    def takes(self, value: Value, operator: str) -> bool:
        return isinstance(value, bool)

    def test(self, term: Comparison) -> Test:
        get, chosen = attrgetter(self.column), frozenset(term.values)
        return lambda item: get(item) in chosen

    def as_q(self, term: Comparison) -> Q:
        return Q(**{f"{self.column}__in": term.values})  # SQLite uses no index for a bare "active"


class InStock(Flag):
    """Stock that is not counted is always there."""

    def as_q(self, term: Comparison) -> Q:
        there, gone = Q(stock__isnull=True) | Q(stock__gt=0), Q(stock=0)
        return {True: there, False: gone}[bool(term.values[0])] if len(set(term.values)) == 1 else there | gone


class Moment(Field):
    operators = ("in", *ORDERED)
    expects = "a date such as 2026-03-01, or 2026-03-01T18:00"

    def takes(self, value: Value, operator: str) -> bool:
        return isinstance(value, Span)

    def test(self, term: Comparison) -> Test:
        if term.operator == "in":
            spans = [(span.low, span.high) for span in _spans(term)]
            return lambda item: any(low <= item.added_at < high for low, high in spans)
        after, at = _border(term)
        return (lambda item: item.added_at >= at) if after else (lambda item: item.added_at < at)

    def as_q(self, term: Comparison) -> Q:
        if term.operator == "in":
            return _any(Q(added_at__gte=span.low, added_at__lt=span.high) for span in _spans(term))
        after, at = _border(term)
        return Q(added_at__gte=at) if after else Q(added_at__lt=at)


class Age(Field):
    """Whole days since an item was added; asked of the moment when the question is put."""

    operators = ("in", *ORDERED)
    expects = f"a whole number of days from 0 to {MOST_DAYS}"

    def takes(self, value: Value, operator: str) -> bool:
        return isinstance(value, Decimal) and 0 <= value <= MOST_DAYS and value == int(value)

    def test(self, term: Comparison) -> Test:
        days = [timedelta(int(value)) for value in term.values if isinstance(value, Decimal)]
        day, now = timedelta(1), partial(datetime.now, UTC)  # half the time of timezone.now
        if term.operator == "in":
            return lambda item: any(age <= now() - item.added_at < age + day for age in days)
        border = days[0] + day if term.operator in ("<=", ">") else days[0]
        if term.operator in ("<", "<="):
            return lambda item: now() - item.added_at < border
        return lambda item: now() - item.added_at >= border

    def as_q(self, term: Comparison) -> Q:
        now, day = timezone.now(), timedelta(1)
        starts = [now - timedelta(int(value)) for value in term.values if isinstance(value, Decimal)]
        if term.operator == "in":
            return _any(Q(added_at__lte=start, added_at__gt=start - day) for start in starts)
        border = starts[0] - day if term.operator in ("<=", ">") else starts[0]
        return Q(added_at__gt=border) if term.operator in ("<", "<=") else Q(added_at__lte=border)


class Attribute(Field):
    """What lies at a path of an item's attributes: a text, a number or true/false, never one taken for another."""

    operators = ("in", *ORDERED, "contains", "has", "empty")
    expects = "a text in quotes, a number, true or false"

    def takes(self, value: Value, operator: str) -> bool:
        if operator in ORDERED:
            return isinstance(value, Decimal)
        if operator == "contains":
            return isinstance(value, str) and value != ""
        return not isinstance(value, Span)

    def test(self, term: Comparison) -> Test:
        found, passes = _reach(self._names(term)), self._passes(term)
        return lambda item: passes(found(item.attributes))

    def as_q(self, term: Comparison) -> Q:
        values: tuple[Any, ...] = term.values
        if term.operator == "contains":
            values = (either_case(str(values[0])),)
        return Q(AttributeTest(self._names(term), self._operator(term), tuple(map(_json, values))))

    def _names(self, term: Comparison) -> tuple[str, ...]:
        return term.names

    def _operator(self, term: Comparison) -> str:
        return term.operator

    def _passes(self, term: Comparison) -> Callable[[Any], bool]:
        operator, values = self._operator(term), tuple(map(_json, term.values))
        if operator == "empty":
            return lambda found: found is None or found in ("", [], {})
        if operator == "contains":
            search = re.compile(either_case(str(values[0]))).search
            return lambda found: type(found) is str and search(found) is not None
        if operator in ORDERED:
            compare, wanted = ORDERED[operator][0], values[0]
            return lambda found: type(found) in (int, float) and compare(found, wanted)
        among = member(values)
        if operator == "has":
            if len(values) == 1 and type(only := values[0]) is str:  # the usual one, three times as fast
                return lambda found: only in found if type(found) is list else type(found) is str and found == only
            return lambda found: any(map(among, found)) if type(found) is list else among(found)
        return among


class Tag(Attribute):
    """One of the item's `attributes.tags`."""

    operators = ("in", "has", "empty")
    expects = "a tag in quotes"

    def takes(self, value: Value, operator: str) -> bool:
        return isinstance(value, str)

    def _names(self, term: Comparison) -> tuple[str, ...]:
        return ("tags",)

    def _operator(self, term: Comparison) -> str:
        return "has" if term.operator == "in" else term.operator


FIELDS: Mapping[str, Field] = {
    "id": Text("id"),
    "title": Text("title"),
    "creator": Text("creator"),
    "category": InCategory(),
    "price": Price("price"),
    "stock": Stock("stock"),
    "in_stock": InStock("in_stock"),
    "active": Flag("active"),
    "added_at": Moment("added_at"),
    "age_days": Age("added_at"),
    "tag": Tag(),
    "attributes": Attribute(),
}


def either_case(text: str) -> str:
    """A regular expression that finds this text in either case, the same in Python, SQLite and PostgreSQL.

    Each letter is spelled out: what a database takes for the other case of é depends on where it was installed.
    """
    return "".join(
        f"[{''.join(sorted(cases))}]"
        if len(cases := {case for case in (one, one.lower(), one.upper()) if len(case) == 1}) > 1
        else re.escape(one)
        for one in text
    )


def _reach(names: Sequence[str]) -> Callable[[Any], Any]:
    """What lies at this path; None where there is nothing."""
    if len(names) == 1:
        name = names[0]
        return lambda value: value.get(name) if type(value) is dict else None

    def reach(value: Any) -> Any:
        for name in names:
            if type(value) is not dict:
                return None
            value = value.get(name)
        return value

    return reach


def _json(value: Any) -> Any:
    """A number as JSON has it."""
    return float(value) if isinstance(value, Decimal) else value


def _spans(term: Comparison) -> list[Span]:
    return [value for value in term.values if isinstance(value, Span)]


def _border(term: Comparison) -> tuple[bool, datetime]:
    """Whether it asks for what comes at or after this moment (or else before it), and the moment."""
    span = _spans(term)[0]
    return term.operator in (">", ">="), span.high if term.operator in ("<=", ">") else span.low


def _any(parts: Any) -> Q:
    return Q(*parts, _connector=Q.OR)
