"""The page that asks a new shopper for three things they like."""

import re

import pytest

from recommender.models import Event
from recommender.storefront.visitor import COOKIE

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def offered(response):
    return re.findall(r'name="item" value="([^"]+)"', response.content.decode())


def ticked(response):
    return set(re.findall(r'name="item" value="([^"]+)" checked', response.content.decode()))


def test_a_new_shopper_is_asked_and_then_has_shelves_of_their_own(client, shop, live_run):
    assert b'href="/taste/"' in client.get("/").content
    page = client.get("/taste/")
    found = offered(page)
    assert len(found) == len(set(found)) == 24 and not ticked(page)
    answer = client.post("/taste/", {"item": [i for i in found if i.startswith("book")][:3]}, follow=True)
    assert answer.redirect_chain == [("/", 302)]
    assert b"Picked for you" in answer.content and b"Thank you" in answer.content
    assert Event.objects.filter(visitor_id=client.cookies[COOKIE].value, kind="like").count() == 3


def test_too_few_are_refused_in_words_and_stay_ticked(client, shop, live_run):
    page = client.post("/taste/", {"item": ["book-01", "book-02"]})
    assert page.status_code == 422 and b"at least 3" in page.content
    assert ticked(page) == {"book-01", "book-02"}
    assert not Event.objects.filter(kind="like").exists()


def test_picks_are_kept_while_looking_at_others(client, shop, live_run):
    first = offered(client.get("/taste/"))
    page = client.post("/taste/", {"item": first[:2], "others": "2"})
    assert page.status_code == 200 and ticked(page) == set(first[:2])
    assert not set(first) & (set(offered(page)) - set(first[:2]))
    assert len(offered(page)) == 16 + 2
    assert not Event.objects.filter(kind="like").exists()


def test_picks_can_be_taken_back(client, shop, live_run):
    client.post("/taste/", {"item": ["book-01", "book-02", "book-03"]})
    assert b"Start again" in client.get("/taste/").content
    page = client.post("/taste/again/", follow=True)
    assert page.redirect_chain == [("/taste/", 302)] and b"taken back" in page.content
    assert b"Start again" not in page.content
    assert not Event.objects.filter(kind="like").exists()


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"item": ["no such item", "x" * 500, "a\x00b"]},
        {"item": ["book-01"] * 500, "page": "-1", "others": "x"},
        {"page": "99999999999999999999"},
    ],
)
def test_nonsense_is_answered_with_the_page(client, shop, live_run, sent):
    assert client.post("/taste/", sent).status_code in (200, 422)
    assert not Event.objects.filter(kind="like").exists()


def test_an_empty_shop_says_so(client, db):
    assert b"nothing to pick from yet" in client.get("/taste/").content
    assert client.post("/taste/again/").status_code == 302
    assert client.get("/taste/again/").status_code == 405
