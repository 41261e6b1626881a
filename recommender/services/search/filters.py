"""What a result may be narrowed down to, and how many items each choice would leave."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from recommender.models import Category

MAX_CHOICES = 8  # of one facet that are offered
MAX_ATTRIBUTES = 3  # facets of attributes that are offered
MOST_VALUES = 12  # distinct values of an attribute that is offered
LEAST_SHARE = 0.2  # of the items must have an attribute that is offered
LONGEST_VALUE = 40  # characters
PRICE_STEPS = (1, 2, 5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000, 10_000)
PRICE_RANGES = 5  # at most


@dataclass(frozen=True)
class Row:
    """One item of a result, with what it can be narrowed down by."""

    item_id: str
    title: str
    creator: str
    category: str | None
    price: Decimal | None
    stock: int | None
    attributes: Mapping[str, Any]
    added_at: datetime
    score: float = 0.0


@dataclass(frozen=True)
class Filters:
    categories: tuple[str, ...] = ()
    """Slugs; one of them, or below it."""
    creators: tuple[str, ...] = ()
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    in_stock: bool = False
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name -> values as `shown` writes them; each name must have one of its values."""

    def __bool__(self) -> bool:
        return self != NO_FILTERS


NO_FILTERS = Filters()


@dataclass(frozen=True)
class Choice:
    value: str
    name: str
    count: int
    chosen: bool


@dataclass(frozen=True)
class Facet:
    name: str
    """category, creator, price, in_stock, or a. and an attribute's name: as in the address."""
    title: str
    choices: list[Choice]


def shown(value: Any) -> str | None:
    """An attribute's value as a choice's; None for what is none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | str) and 0 < len(str(value).strip()) <= LONGEST_VALUE:
        return str(value).strip()
    return None


class Shelves:
    """The categories of a result, by slug, with those above them."""

    def __init__(self, slugs: Iterable[str]) -> None:
        found = Category.objects.select_related("parent").filter(pk__in=set(slugs))
        self.names: dict[str, str] = {}
        self.parents: dict[str, str | None] = {}
        for category in found:
            self.names[category.pk], self.parents[category.pk] = category.name, category.parent_id
            if category.parent is not None:
                self.names[category.parent.pk] = category.parent.name

    def of(self, row: Row) -> list[str]:
        return [slug for slug in (row.category, self.parents.get(row.category or "")) if slug]


def _tests(filters: Filters, shelves: Shelves) -> dict[str, Callable[[Row], bool]]:
    """By facet, what a row must pass."""
    tests: dict[str, Callable[[Row], bool]] = {}
    if filters.categories:
        tests["category"] = lambda row: not set(filters.categories).isdisjoint(shelves.of(row))
    if filters.creators:
        tests["creator"] = lambda row: row.creator in filters.creators
    if filters.min_price is not None or filters.max_price is not None:
        least, most = filters.min_price or Decimal(0), filters.max_price
        tests["price"] = lambda row: (
            row.price is not None and least <= row.price and (most is None or row.price <= most)
        )
    if filters.in_stock:
        tests["in_stock"] = lambda row: row.stock is None or row.stock > 0
    for name, values in filters.attributes.items():
        tests[f"a.{name}"] = lambda row, name=name, values=values: shown(row.attributes.get(name)) in values  # type: ignore[misc]
    return tests


def narrow(rows: Sequence[Row], filters: Filters, shelves: Shelves) -> tuple[list[Row], list[Facet]]:
    """The rows that pass all filters, in their order, and the facets. A facet's choices are counted among the rows
    that pass the filters of all other facets: what each would give if it were chosen instead, or as well."""
    tests = _tests(filters, shelves)
    failed = [[name for name, test in tests.items() if not test(row)] for row in rows]
    kept = [row for row, failures in zip(rows, failed, strict=True) if not failures]

    def among(name: str) -> list[Row]:
        if name not in tests:
            return kept
        return [row for row, failures in zip(rows, failed, strict=True) if not failures or failures == [name]]

    facets = [
        _categories(among("category"), filters, shelves),
        _choices("creator", "By", Counter(row.creator for row in among("creator") if row.creator), filters.creators),
        _prices(among("price"), filters),
        _stock(among("in_stock"), filters),
        *_attributes(rows, among, filters),
    ]
    return kept, [facet for facet in facets if facet is not None]


def _choices(
    name: str, title: str, counts: Counter[str], chosen: Sequence[str], names: Mapping[str, str] | None = None
) -> Facet | None:
    """None where there is nothing to choose between."""
    for value in chosen:
        counts.setdefault(value, 0)
    ordered = sorted(counts, key=lambda value: (value not in chosen, -counts[value], value))[:MAX_CHOICES]
    if not chosen and len(ordered) < 2:
        return None
    names = names or {}
    return Facet(
        name, title, [Choice(value, names.get(value, value), counts[value], value in chosen) for value in ordered]
    )


def _categories(rows: Sequence[Row], filters: Filters, shelves: Shelves) -> Facet | None:
    counts = Counter(slug for row in rows for slug in shelves.of(row))
    return _choices("category", "Category", counts, filters.categories, shelves.names)


def _stock(rows: Sequence[Row], filters: Filters) -> Facet | None:
    there = sum(row.stock is None or row.stock > 0 for row in rows)
    if not filters.in_stock and there in (0, len(rows)):
        return None
    return Facet("in_stock", "Availability", [Choice("1", "In stock", there, filters.in_stock)])


def _prices(rows: Sequence[Row], filters: Filters) -> Facet | None:
    """A few ranges between round numbers, each with about as many items; values are "least-most", open at the ends."""
    prices = sorted(row.price for row in rows if row.price is not None)
    edges: list[int] = []
    if prices:
        for share in range(1, PRICE_RANGES):
            middle = float(prices[len(prices) * share // PRICE_RANGES])
            edge = min(PRICE_STEPS, key=lambda step: abs(math.log(step / max(middle, 0.01))))
            if edge not in edges and prices[0] < edge < prices[-1]:
                edges.append(edge)
    edges.sort()
    bounds = list(zip([None, *edges], [*edges, None], strict=True)) if edges else []
    own = (filters.min_price, filters.max_price)
    if own != (None, None) and own not in bounds:
        bounds.insert(0, own)  # type: ignore[arg-type]
    choices = [
        Choice(
            f"{'' if least is None else least}-{'' if most is None else most}",
            _range_name(least, most),
            sum((least is None or least <= price) and (most is None or price <= most) for price in prices),
            (least, most) == own,
        )
        for least, most in bounds
    ]
    return Facet("price", "Price", choices) if choices else None


def _range_name(least: Decimal | int | None, most: Decimal | int | None) -> str:
    if least is None:
        return f"Up to {most}"
    return f"{least} and more" if most is None else f"{least} to {most}"


def _attributes(rows: Sequence[Row], among: Callable[[str], list[Row]], filters: Filters) -> list[Facet]:
    """Attributes that many items have and few values tell apart, the most telling first."""
    values: dict[str, Counter[str]] = {}
    for row in rows:
        for name, value in row.attributes.items():
            if (text := shown(value)) is not None and len(name) <= LONGEST_VALUE:
                values.setdefault(name, Counter())[text] += 1
    fit = [
        name
        for name, counts in values.items()
        if 2 <= len(counts) <= MOST_VALUES
        and counts.total() >= LEAST_SHARE * len(rows)
        and counts.total() > len(counts)
    ]
    names = [
        *filters.attributes,
        *sorted(set(fit) - set(filters.attributes), key=lambda name: (-values[name].total(), name)),
    ]
    facets = []
    for name in names[: max(MAX_ATTRIBUTES, len(filters.attributes))]:
        counts = Counter(text for row in among(f"a.{name}") if (text := shown(row.attributes.get(name))) is not None)
        title = name.replace("_", " ").capitalize()
        facets.append(_choices(f"a.{name}", title, counts, filters.attributes.get(name, ())))
    return [facet for facet in facets if facet is not None]


def without(filters: Filters, facet: str, value: str) -> Filters:
    """The filters without one choice."""
    if facet == "category":
        return replace(filters, categories=tuple(slug for slug in filters.categories if slug != value))
    if facet == "creator":
        return replace(filters, creators=tuple(name for name in filters.creators if name != value))
    if facet == "price":
        return replace(filters, min_price=None, max_price=None)
    if facet == "in_stock":
        return replace(filters, in_stock=False)
    name = facet.removeprefix("a.")
    kept = tuple(one for one in filters.attributes.get(name, ()) if one != value)
    others = {key: values for key, values in filters.attributes.items() if key != name}
    return replace(filters, attributes={**others, name: kept} if kept else others)


def chosen(filters: Filters, facet: str, value: str) -> Filters:
    """The filters with one choice more; another price in place of the one before."""
    if facet == "category":
        return replace(filters, categories=(*filters.categories, value))
    if facet == "creator":
        return replace(filters, creators=(*filters.creators, value))
    if facet == "price":
        least, _, most = value.partition("-")
        return replace(filters, min_price=Decimal(least) if least else None, max_price=Decimal(most) if most else None)
    if facet == "in_stock":
        return replace(filters, in_stock=True)
    name = facet.removeprefix("a.")
    return replace(filters, attributes={**filters.attributes, name: (*filters.attributes.get(name, ()), value)})
