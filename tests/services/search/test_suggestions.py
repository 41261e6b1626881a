"""What is offered while somebody types."""

import pytest

from recommender.models import Item
from recommender.services import search

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def offered(query):
    return [(one.kind, one.text) for one in search.suggest(query)]


@pytest.mark.parametrize(
    ("typed", "offer"),
    [
        ("ger", ("title", "Germinal")),
        ("the mi", ("title", "The Mine")),
        ("zol", ("creator", "Émile Zola")),
        ("erich k", ("creator", "Erich Kästner")),
        ("nov", ("category", "Novels")),
        ("bo", ("category", "Books")),
        ("berl", ("words", "berlin")),  # in a description alone
        ("germnial", ("title", "Germinal")),  # mended
    ],
)
def test_offers(shelf, typed, offer):
    assert offer in offered(typed)


@pytest.mark.parametrize("typed", ["", " ", "xyzzy", "hidden", "%", "\x00"])
def test_nothing_to_offer(shelf, typed):
    assert not [text for kind, text in offered(typed) if kind in ("title", "creator")]


def test_no_more_than_ten_and_each_once(shelf):
    Item.objects.bulk_create([Item(id=f"m-{n}", title=f"Mine {n}", creator="Mina") for n in range(50)])
    found = offered("mi")
    assert len(found) == len(set(found)) <= 10
    assert ("creator", "Mina") in found


def test_few_queries(shelf, django_assert_max_num_queries):
    offered("mi")
    with django_assert_max_num_queries(8):
        offered("mi")
