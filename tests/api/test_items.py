"""The catalogue, item by item."""

import math
from decimal import Decimal
from typing import Any

import pytest

from recommender.models import Category, Item

from .conftest import BASE, Call

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_create_read_change(call: Call) -> None:
    sent = {
        "title": "Harbour at dawn",
        "creator": "A. Marsh",
        "category": "prints",
        "price": "24.00",
        "stock": 3,
        "attributes": {"format": "A3", "colours": [1, 2.5, None, {"deep": True}]},
    }
    made = call("PUT", "/items/print-0042", sent)
    assert (made.status_code, made["Location"]) == (201, f"{BASE}/items/print-0042")
    assert {name: made.data[name] for name in sent} == sent
    assert made.data["active"] is True
    assert Category.objects.get().name == "Prints"
    changed = call("PUT", "/items/print-0042", {"price": 19.5, "stock": None, "active": False, "category": None})
    assert changed.status_code == 200
    assert "Location" not in changed
    read = call("GET", "/items/print-0042", scope="read").data
    assert (read["price"], read["stock"], read["active"], read["category"]) == ("19.50", None, False, None)
    assert (read["title"], read["attributes"]) == (sent["title"], sent["attributes"])
    assert Item.objects.get().price == Decimal("19.5")


def test_sending_the_same_again_changes_nothing(call: Call) -> None:
    assert call("PUT", "/items/a", {"title": "A"}).status_code == 201
    assert call("PUT", "/items/a", {"title": "A"}).status_code == 200
    assert call("PUT", "/items/a", {}).data["title"] == "A"


@pytest.mark.parametrize("item_id", ["a", "Ünï-ço∂é", "a:b", "a;b,c", "similar", "x" * 128])
def test_ids_that_are_fine(call: Call, item_id: str) -> None:
    assert call("PUT", f"/items/{item_id}", {"title": "T"}).data["item_id"] == item_id
    assert call("GET", f"/items/{item_id}", scope="read").data["item_id"] == item_id


@pytest.mark.parametrize("item_id", ["a%20b", "a%00b", "a%25b", "a%3Fb", "x" * 129, "%0a", "a%5Cb"])
def test_ids_that_are_not(call: Call, item_id: str) -> None:
    response = call("PUT", f"/items/{item_id}", {"title": "T"})
    assert response.status_code == 422
    assert "An id is 1 to 128 characters" in response.data["detail"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "title"),
        ({"title": ""}, "/title"),
        ({"title": None}, "/title"),
        ({"title": 5}, "/title"),
        ({"title": "x" * 301}, "/title"),
        ({"title": "a\x00b"}, "/title"),
        ({"title": "\ud800"}, "/title"),
        ({"title": "T", "creator": None}, "/creator"),
        ({"title": "T", "description": "x" * 60_000}, "/description"),
        ({"title": "T", "price": -1}, "/price"),
        ({"title": "T", "price": math.nan}, "/price"),
        ({"title": "T", "price": math.inf}, "/price"),
        ({"title": "T", "price": True}, "/price"),
        ({"title": "T", "price": "free"}, "/price"),
        ({"title": "T", "price": 1.005}, "/price"),
        ({"title": "T", "price": 10**399}, "/price"),
        ({"title": "T", "stock": -1}, "/stock"),
        ({"title": "T", "stock": 1.0}, "/stock"),
        ({"title": "T", "stock": True}, "/stock"),
        ({"title": "T", "stock": "3"}, "/stock"),
        ({"title": "T", "stock": 2**31}, "/stock"),
        ({"title": "T", "active": 1}, "/active"),
        ({"title": "T", "active": "true"}, "/active"),
        ({"title": "T", "category": "no slug"}, "/category"),
        ({"title": "T", "category": "a\x00"}, "/category"),
        ({"title": "T", "category": "c" * 65}, "/category"),
        ({"title": "T", "attributes": None}, "/attributes"),
        ({"title": "T", "attributes": []}, "/attributes"),
        ({"title": "T", "attributes": {"a": math.nan}}, "attributes"),
        ({"title": "T", "attributes": {"a": [math.inf]}}, "attributes"),
        ({"title": "T", "attributes": {"a": "\x00"}}, "attributes"),
        ({"title": "T", "attributes": {"\x00": 1}}, "attributes"),
        ({"title": "T", "attributes": {"a": {"b": ["\ud800"]}}}, "attributes"),
        ({"title": "T", "attributes": {"a": "x" * 70_000}}, "attributes"),
        ({"title": "T", "item_id": "b"}, "/item_id"),
        ({"title": "T", "colour": "blue"}, "/colour"),
        ([], "the body"),
        (5, "the body"),
    ],
)
def test_a_bad_item_is_told_why_and_not_saved(call: Call, body: Any, where: str) -> None:
    response = call("PUT", "/items/a", body)
    assert response.status_code == 422
    if where.startswith("/"):
        assert response.data["errors"][0]["pointer"].startswith(f"#{where}")
    else:
        assert where in response.data["detail"]
    assert not Item.objects.exists()
    assert not Category.objects.exists()


def test_an_item_without_text_is_an_item(call: Call) -> None:
    assert call("PUT", "/items/a", {"title": "-"}).status_code == 201
    assert call("GET", "/items/a/similar", scope="read").status_code == 200
    assert call("GET", "/popular", scope="read").data["items"][0]["item_id"] == "a"
