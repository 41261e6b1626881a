"""The shelves of the shop, and putting items onto them from outside."""

import math
from decimal import Decimal

import pytest

from recommender.models import Category, Item
from recommender.services import catalogue
from recommender.services.errors import InvalidInput, UnknownItem
from tests.services.conftest import at_once, item_ids

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_a_category_holds_its_childrens_items(items):
    assert list(catalogue.in_category(Category(pk="nature")).values_list("id", flat=True)) == item_ids("sea")
    assert list(catalogue.in_category(Category(pk="hill")).values_list("id", flat=True)) == item_ids("hill")


def test_inactive_items_are_nowhere(items):
    Item.objects.filter(pk="sea-00").update(active=False)
    assert "sea-00" not in catalogue.in_category(Category(pk="sea")).values_list("id", flat=True)
    assert catalogue.some(["sea-00"]) == []


@pytest.mark.parametrize(
    ("sort", "first", "last"),
    [
        ("price", "sea-01", "sea-02"),
        ("price-down", "sea-00", "sea-02"),
        ("title", "sea-00", "sea-09"),
        ("no", "sea-00", "sea-09"),
    ],
)
def test_sorting_puts_items_without_a_price_last(items, sort, first, last):
    for item_id, price in (("sea-00", 99), ("sea-01", 1), ("sea-02", None)):
        Item.objects.filter(pk=item_id).update(price=price)
    found = list(catalogue.in_category(Category(pk="sea"), sort).values_list("id", flat=True))
    assert (found[0], found[-1]) == (first, last)


def test_some_items_come_in_the_order_asked_for(items):
    assert [item.pk for item in catalogue.some(["sea-03", "gone", "hill-01", "sea-00"])] == [
        "sea-03",
        "hill-01",
        "sea-00",
    ]


@pytest.mark.parametrize("item_id", ["gone", "", "a b", "a\x00b", "\ud800", "x" * 500])
def test_an_item_that_is_not_there_is_unknown(items, item_id):
    with pytest.raises(UnknownItem):
        catalogue.item(item_id)


def test_putting_makes_and_then_changes(items):
    made, is_new = catalogue.put("new-1", {"title": "New", "price": Decimal("3.5"), "stock": 4, "category": "sky-blue"})
    assert is_new and made.category.name == "Sky blue"
    changed, is_new = catalogue.put("new-1", {"stock": None})
    assert not is_new
    changed.refresh_from_db()
    assert (changed.title, changed.price, changed.stock, changed.category_id) == (
        "New",
        Decimal("3.50"),
        None,
        "sky-blue",
    )


def test_an_item_can_leave_its_category(items):
    assert catalogue.put("sea-00", {"category": None})[0].category is None


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"title": ""},
        {"title": None},
        {"title": "x" * 301},
        {"title": "x", "price": -1},
        {"title": "x", "price": Decimal("NaN")},
        {"title": "x", "price": math.inf},
        {"title": "x", "price": Decimal("1e9")},
        {"title": "x", "stock": -1},
        {"title": "x", "stock": 10**30},
        {"title": "x", "attributes": {"a": math.nan}},
        {"title": "x", "attributes": {"a": "\x00"}},
        {"title": "x", "attributes": {"a": {1, 2}}},
        {"title": "x", "active": "perhaps"},
        {"title": "x", "category": "no slug!"},
        {"title": "x", "category": "x" * 65},
        {"title": "x", "id": "other"},
        {"title": "x", "colour": "red"},
    ],
    ids=lambda values: str(values)[:40],
)
def test_what_is_not_valid_is_refused_whole(values):
    with pytest.raises(InvalidInput):
        catalogue.put("new-1", {"category": "fresh", **values})
    assert not Item.objects.exists() and not Category.objects.exists()


@pytest.mark.parametrize("field", ["title", "creator", "description", "category"])
@pytest.mark.parametrize("value", ["a\x00b", "\ud800", 5, ["a"]], ids=repr)
def test_texts_that_cannot_be_stored_are_refused(field, value):
    with pytest.raises(InvalidInput):
        catalogue.put("new-1", {"title": "x", field: value})


@pytest.mark.parametrize("item_id", ["", "a b", "a/b", "a\x00b", "\ud800", "x" * 129])
def test_an_item_needs_a_valid_id(item_id):
    with pytest.raises(InvalidInput):
        catalogue.put(item_id, {"title": "x"})


def test_a_category_is_made_once(items):
    assert catalogue.ensure_category("sea").name == "Sea"
    assert Category.objects.count() == 3


def test_departments_are_the_categories_at_the_top(items):
    assert {row.pk for row in catalogue.departments()} == {"nature", "hill"}
    [nature] = [row for row in catalogue.departments() if row.pk == "nature"]
    assert [child.pk for child in nature.children.all()] == ["sea"]


@pytest.mark.django_db(transaction=True)
def test_the_same_new_item_sent_twice_at_once_is_made_once():
    def put():
        return catalogue.put("new-1", {"title": "New", "category": "fresh"})

    results = at_once(put, put, put)
    assert sorted(made for _, made in results) == [False, False, True]
    assert Item.objects.get().category_id == "fresh"
