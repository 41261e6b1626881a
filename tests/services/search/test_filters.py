"""Narrowing down, and what each choice would leave."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from recommender.models import Category, Item
from recommender.services import search
from recommender.services.search.filters import Filters, Row, Shelves, chosen, narrow, shown, without

pytestmark = [pytest.mark.django_db, pytest.mark.database]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def row(number, category="prints", creator="Ada", price=10, stock=None, **attributes):
    price = None if price is None else Decimal(price)
    return Row(f"item-{number}", f"Title {number}", creator, category, price, stock, attributes, NOW)


@pytest.fixture
def rows(db):
    Category.objects.create(slug="prints", name="Prints")
    Category.objects.create(slug="posters", name="Posters", parent_id="prints")
    Category.objects.create(slug="books", name="Books")
    return [
        row(1, "prints", "Ada", 5, 0, format="A3", signed=True),
        row(2, "posters", "Ada", 15, 2, format="A3", signed=False),
        row(3, "posters", "Ben", 25, None, format="A4"),
        row(4, "books", "Ben", 40, 1, format="A4", code="x1"),
        row(5, "books", "Cy", None, 3),
    ]


def kept(rows, **filters):
    found, _ = narrow(rows, Filters(**filters), Shelves(row.category for row in rows))
    return [int(row.item_id[5:]) for row in found]


def counts(rows, name, **filters):
    _, facets = narrow(rows, Filters(**filters), Shelves(row.category for row in rows))
    return {choice.value: choice.count for facet in facets if facet.name == name for choice in facet.choices}


def test_filters(rows):
    assert kept(rows) == [1, 2, 3, 4, 5]
    assert kept(rows, categories=("prints",)) == [1, 2, 3]  # and those below it
    assert kept(rows, categories=("posters", "books")) == [2, 3, 4, 5]
    assert kept(rows, creators=("Ada",), in_stock=True) == [2]
    assert kept(rows, min_price=Decimal(15), max_price=Decimal(25)) == [2, 3]
    assert kept(rows, min_price=Decimal(0)) == [1, 2, 3, 4]
    assert kept(rows, attributes={"format": ("A4",)}) == [3, 4]
    assert kept(rows, attributes={"signed": ("yes",)}) == [1]
    assert kept(rows, categories=("none",)) == []


def test_counts_are_what_a_choice_would_leave(rows):
    assert counts(rows, "category") == {"prints": 3, "posters": 2, "books": 2}
    assert counts(rows, "creator", categories=("prints",)) == {"Ada": 2, "Ben": 1}
    # Of a facet that is chosen from, the others stay in view, as they could be chosen besides.
    assert counts(rows, "category", categories=("prints",)) == {"prints": 3, "posters": 2, "books": 2}
    assert counts(rows, "in_stock") == {"1": 4}
    assert counts(rows, "a.format", min_price=Decimal(10)) == {"A3": 1, "A4": 2}
    assert counts(rows, "a.format", creators=("Ben",)) == {}  # nothing to choose between


def test_every_count_is_true(rows):
    base = Filters(creators=("Ada", "Ben"))
    _, facets = narrow(rows, base, Shelves(row.category for row in rows))
    assert {facet.name for facet in facets} >= {"category", "creator", "price", "in_stock", "a.format"}
    for facet in facets:
        for choice in facet.choices:
            if facet.name != "creator":
                narrowed = chosen(base, facet.name, choice.value)
                assert len(narrow(rows, narrowed, Shelves(row.category for row in rows))[0]) == choice.count, choice


def test_prices_are_ranges_between_round_numbers(db):
    values = counts([row(number, price=number) for number in range(1, 101)], "price")
    assert 3 <= len(values) <= 5
    assert sum(values.values()) == pytest.approx(100, abs=5)  # an edge belongs to both
    assert counts([row(1), row(2)], "price") == {}


def test_a_chosen_value_stays_in_view_even_where_it_leaves_nothing(rows):
    assert counts(rows, "creator", creators=("Zoe",))["Zoe"] == 0
    assert counts(rows, "price", min_price=Decimal(3))["3-"] == 4


def test_attributes_that_tell_nothing_apart_are_no_facets(db):
    rows = [
        row(number, same="x", each=f"v{number}", rare="y" if number == 1 else "", deep={"a": 1}) for number in range(30)
    ]
    _, facets = narrow(rows, Filters(), Shelves([]))
    assert [facet.name for facet in facets if facet.name.startswith("a.")] == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (3, "3"), ("A3 ", "A3"), (1.5, None), ([1], None), ("", None), (None, None), ("x" * 99, None)],
)
def test_values(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    ("facet", "value"),
    [
        ("category", "books"),
        ("creator", "Ada"),
        ("price", "5-10"),
        ("price", "-10"),
        ("in_stock", "1"),
        ("a.format", "A3"),
    ],
)
def test_a_choice_can_be_taken_back(facet, value):
    assert chosen(Filters(), facet, value)
    assert without(chosen(Filters(), facet, value), facet, value) == Filters()


def test_a_search_counts_in_few_queries(shelf, django_assert_max_num_queries):
    Item.objects.bulk_create([Item(id=f"more-{n}", title="Mine", category_id="novels") for n in range(200)])
    search.search("mine")
    with django_assert_max_num_queries(6):
        assert search.search("mine").found == 203
