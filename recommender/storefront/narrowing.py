"""A search as an address: read from one, and written into the links that narrow it down or widen it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from urllib.parse import urlencode

from django.http import QueryDict

from recommender.services import search
from recommender.services.texts import storable

MAX_CHOSEN = 20  # values of one filter that are looked at
MAX_NAMES = 8  # attributes
LONGEST = 200  # characters of one value
MAX_PRICE = Decimal(10) ** 8
ATTRIBUTE = "a."  # what the name of an attribute's parameter begins with


@dataclass(frozen=True)
class Link:
    name: str
    url: str
    count: int = 0
    chosen: bool = False


@dataclass(frozen=True)
class Group:
    name: str
    title: str
    links: list[Link]
    any_chosen: bool


def read(values: QueryDict) -> search.Filters:
    """Nonsense counts as nothing said: a shopper's address is no form to be marked."""
    names = [name for name in values if name.startswith(ATTRIBUTE) and storable(name)][:MAX_NAMES]
    attributes = {name[len(ATTRIBUTE) :]: _texts(values.getlist(name)) for name in names}
    return search.Filters(
        _texts(values.getlist("category")),
        _texts(values.getlist("creator")),
        price(values.get("min_price", "")),
        price(values.get("max_price", "")),
        values.get("in_stock") == "1",
        {name: chosen for name, chosen in attributes.items() if chosen},
    )


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    kept = [value for value in values if value and len(value) <= LONGEST and storable(value)]
    return tuple(dict.fromkeys(kept))[:MAX_CHOSEN]


def price(text: str) -> Decimal | None:
    """None for what is no price."""
    try:
        value = Decimal(text.strip()[:20])
    except InvalidOperation:
        return None
    return value if value.is_finite() and 0 <= value <= MAX_PRICE else None


def pairs(filters: search.Filters) -> list[tuple[str, str]]:
    """The filters as parameters."""
    said = [("category", value) for value in filters.categories]
    said += [("creator", value) for value in filters.creators]
    said += [("min_price", str(filters.min_price))] if filters.min_price is not None else []
    said += [("max_price", str(filters.max_price))] if filters.max_price is not None else []
    said += [("in_stock", "1")] if filters.in_stock else []
    return said + [(ATTRIBUTE + name, value) for name, chosen in filters.attributes.items() for value in chosen]


def address(query: str, filters: search.Filters = search.NO_FILTERS, sort: str = "") -> str:
    """Parameters behind a question mark; the first page."""
    said = [("q", query), *pairs(filters)] + ([("sort", sort)] if sort and sort != "relevance" else [])
    return "?" + urlencode(said)


def groups(answer: search.Answer, money: Callable[[Decimal], str]) -> list[Group]:
    """The facets as links, each of which adds its choice or takes it back."""

    def name(facet: search.Facet, choice: search.Choice) -> str:
        return _range(choice.value, money) if facet.name == "price" else choice.name

    def link(facet: search.Facet, choice: search.Choice) -> Link:
        turn = search.without if choice.chosen else search.chosen
        url = address(answer.query, turn(answer.filters, facet.name, choice.value), answer.sort)
        return Link(name(facet, choice), url, choice.count, choice.chosen)

    return [
        Group(
            facet.name,
            facet.title,
            [link(facet, choice) for choice in facet.choices if choice.count or choice.chosen],
            any(choice.chosen for choice in facet.choices),
        )
        for facet in answer.facets
    ]


def _range(value: str, money: Callable[[Decimal], str]) -> str:
    """A price's choice, "least-most", in words."""
    least, most = (money(Decimal(part)).removesuffix(".00") if part else "" for part in value.split("-"))
    return f"{least} to {most}" if least and most else f"{least} and more" if least else f"Up to {most}"


def chips(answer: search.Answer, money: Callable[[Decimal], str]) -> list[Link]:
    """One link per filter that is set, which takes it back."""
    filters = answer.filters

    def chip(name: str, facet: str, value: str = "") -> Link:
        return Link(name, address(answer.query, search.without(filters, facet, value), answer.sort))

    found = [chip(answer.names.get(slug, slug), "category", slug) for slug in filters.categories]
    found += [chip(name, "creator", name) for name in filters.creators]
    if filters.min_price is not None or filters.max_price is not None:
        least, most = ("" if bound is None else str(bound) for bound in (filters.min_price, filters.max_price))
        found.append(chip(_range(f"{least}-{most}", money), "price"))
    found += [chip("In stock", "in_stock")] if filters.in_stock else []
    for name, values in filters.attributes.items():
        title = name.replace("_", " ").capitalize()
        found += [chip(f"{title}: {value}", f"a.{name}", value) for value in values]
    return found
