"""Items read by written-out queries are what Django would have made of them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from recommender.models import Category, Item, Picture
from recommender.services.serving import truth

pytestmark = [pytest.mark.django_db, pytest.mark.database]
PLAIN = [field.attname for field in Item._meta.concrete_fields if field.name not in ("description", "updated_at")]


@pytest.fixture
def shop() -> list[str]:
    above = Category.objects.create(slug="books", name="Books")
    below = Category.objects.create(slug="novels", name="Novels", parent=above, position=3)
    now = timezone.now()
    Item.objects.create(id="a", title="A", category=below, price=Decimal("12.50"), stock=3, attributes={"tags": ["x"]})
    Item.objects.create(
        id="b", title="B", creator="Ben", active=False, added_at=now - timedelta(days=3), sound="s/b.wav"
    )
    Item.objects.create(id="c", title="C", category=above, price=Decimal("0.10"), stock=0, attributes={"n": 1.5})
    for position, name in ((2, "last"), (1, "second"), (0, "first"), (0, "also first")):
        Picture.objects.create(item_id="a", file=f"pictures/{name}.jpg", alt=name, position=position)
    return ["a", "b", "c"]


def test_values_and_types_are_those_of_django(shop: list[str]) -> None:
    found = truth.read([*shop, "nothing"], stars=True)
    assert set(found) == set(shop)
    for item in Item.objects.select_related("category"):
        read = found[item.pk]
        assert read == item and type(read) is Item and not read._state.adding
        for name in PLAIN:
            told, meant = getattr(read, name), getattr(item, name)
            assert told == meant and type(told) is type(meant), name
        assert read.category == item.category
        assert read.category is None or read.category.parent_id == item.category.parent_id
        assert (read.mean_stars, read.review_count) == (None, 0)
        assert read.first_picture == item.first_picture
    assert found["a"].first_picture.alt == "first"


def test_what_is_left_out_is_read_when_it_is_asked_for(shop: list[str], django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        found = truth.read(shop, whole=False)
        assert (found["a"].price, found["a"].category.name) == (Decimal("12.50"), "Novels")
    with django_assert_num_queries(1):
        truth.add_pictures(list(found.values()))
        assert [found[name].first_picture and found[name].first_picture.alt for name in shop] == ["first", None, None]
    with django_assert_num_queries(1):
        assert found["a"].attributes == {"tags": ["x"]}


def test_nobody_s_changes_reach_the_next_answer(shop: list[str]) -> None:
    truth.read(shop)["a"].attributes["tags"].append("mine")
    assert truth.read(shop)["a"].attributes == {"tags": ["x"]}
    Item.objects.filter(pk="a").update(price=Decimal("12.51"), stock=0)
    assert (truth.read(shop)["a"].price, truth.read(shop)["a"].in_stock) == (Decimal("12.51"), False)
