"""Limits as shoppers meet them: flags nobody sees, a page that says when to come back, held reviews and orders."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from recommender.models import Access, Event, Item, Order, Review, Visitor
from recommender.services import catalogue, opinions, orders, people, reviews
from recommender.services.screening import access_log, counters, log_ins
from recommender.storefront.visitor import COOKIE

pytestmark = [pytest.mark.django_db, pytest.mark.database]

ADDRESS = {"REMOTE_ADDR": "8.8.4.4"}
RECOMMENDER = Path(__file__).parents[2] / "recommender"
ORDER = {"name": "A. Reader", "email": "a@example.com", "address": "1 High Street"}


@pytest.fixture
def guard(settings: Any) -> Callable[..., None]:
    def guard(**limits: Any) -> None:
        settings.RECOMMENDER = {**settings.RECOMMENDER, "guard": {"limits": limits}}

    return guard


@pytest.fixture
def guest() -> Client:
    """A browser that has been here before."""
    client = Client(**ADDRESS)
    client.cookies[COOKIE] = people.new_guest_id()
    return client


def test_looks_above_the_limit_are_flagged_and_the_page_is_as_ever(guard: Any, guest: Client, shop: Any) -> None:
    guard(visitor_items={"soft": 2})
    pages = [guest.get(f"/item/{item.pk}/") for item in shop["books"][:4]]
    assert [page.status_code for page in pages] == [200] * 4
    assert list(Event.objects.order_by("id").values_list("flag", flat=True)) == ["", "", *["visitor_items"] * 2]


def test_far_above_it_the_page_says_when_to_come_back(
    guard: Any, guest: Client, shop: Any, django_assert_num_queries: Any
) -> None:
    guard(visitor_events={"soft": 1, "hard": 2})
    address = f"/item/{shop['books'][0].pk}/"
    for _ in range(2):
        assert guest.get(address).status_code == 200
    with django_assert_num_queries(0):
        refused = guest.get(address)
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 120
    assert "A little slower, please" in refused.content.decode()
    assert re.search(r"Try again in \d+ seconds", refused.content.decode())
    assert guest.get("/").status_code == 200  # other pages are as ever
    assert Client(**ADDRESS).get(address).status_code == 200  # and so are other shoppers


def test_a_browser_without_cookies_is_counted_by_its_address(guard: Any, shop: Any) -> None:
    guard(client_events={"soft": 2, "hard": 4})
    address = f"/item/{shop['books'][0].pk}/"
    got = [Client(**ADDRESS).get(address).status_code for _ in range(6)]
    assert got == [200] * 4 + [429] * 2
    assert Event.objects.filter(flag="client_events").count() == 2
    robot = Client(**ADDRESS, headers={"User-Agent": "somebot"})
    assert robot.get(address).status_code == 429
    assert Client(REMOTE_ADDR="8.8.8.8").get(address).status_code == 200
    assert Client(REMOTE_ADDR="8.8.4.4", headers={"X-Forwarded-For": "1.1.1.1"}).get(address).status_code == 429


def test_an_address_that_all_share_limits_nobody(guard: Any, shop: Any) -> None:
    guard(client_events={"soft": 1, "hard": 1})
    for meta in ({"REMOTE_ADDR": "10.0.0.2"}, {"REMOTE_ADDR": ""}, {"REMOTE_ADDR": "nonsense"}):
        assert [Client(**meta).get("/item/book-00/").status_code for _ in range(3)] == [200] * 3
    assert not Event.objects.exclude(flag="").exists()


def test_carts_opinions_and_cards(guard: Any, guest: Client, shop: Any) -> None:
    guard(visitor_carts={"soft": 1, "hard": 2}, visitor_cards={"soft": 1}, visitor_events={"soft": 4})
    got = [guest.post(f"/item/{item.pk}/cart/", {"quantity": 1}).status_code for item in shop["books"][:3]]
    assert got == [302, 302, 429]
    cards = '[{"item": "book-01"}, {"item": "book-02"}]'
    assert guest.post("/beacon/", {"cards": cards}).status_code == 204
    for kind in ("like", "dislike"):
        guest.post("/item/book-00/opinion/", {"kind": kind})
    flags = Event.objects.order_by("id").values_list("kind", "flag")
    assert list(flags) == [
        ("cart", ""),
        ("cart", "visitor_carts"),
        ("impression", "visitor_cards"),
        ("impression", "visitor_cards"),
        ("like", ""),
        ("dislike", "visitor_events"),
    ]


def write(client: Client, item: Item, stars: int = 5, body: str = "") -> str:
    sent = {"stars": stars, "title": "Splendid", "body": body, "author_name": "R."}
    return client.post(f"/item/{item.pk}/review/", sent, follow=True, **ADDRESS).content.decode()


def test_reviews_above_the_limit_are_held(guard: Any, reader: Client, shop: Any) -> None:
    guard(visitor_reviews={"soft": 1, "hard": 3})
    first, second, third, fourth = shop["books"][:4]
    assert "your review is on the page" in write(reader, first)
    page = write(reader, second, body="Held words.")
    assert "your review will appear once it has been checked" in page
    assert "Until then only you see it." in page
    assert "Held words." in page  # in the author's own form
    assert "being checked" in reader.get("/account/reviews/").content.decode()
    held = Review.objects.get(item=second)
    assert (held.held, held.hidden) == ("visitor_reviews", False)
    assert Event.objects.get(item=second, kind="rating").flag == "visitor_reviews"
    other = Client().get(f"/item/{second.pk}/").content.decode()
    assert "Held words." not in other
    assert "Nobody has reviewed this yet" in other
    assert write(reader, second, 4)  # changing it does not let it go
    assert Review.objects.get(item=second).held
    with_status = reader.post(f"/item/{fourth.pk}/review/", {"stars": 5}, **ADDRESS)
    assert with_status.status_code == 429
    assert not Review.objects.filter(item__in=[third, fourth]).exists()


def test_what_is_held_counts_nowhere_until_released(item: Any) -> None:
    book = item("book")
    for n in range(6):
        visitor = Visitor.objects.create(id=f"shopper-{n}")
        reviews.write(visitor, book, 5 if n else 1, body="A fine book.", held="" if n else "client_reviews")
    assert reviews.shown(book).count() == 5
    assert catalogue.rating("book")["mean"] == 5
    assert catalogue.mean_ratings(["book"]) == {"book": (5, 5)}
    assert opinions.of(book).count == 5
    assert "Your review" not in Client().get("/item/book/").content.decode()
    assert reviews.release(Review.objects.all()) == 1
    assert catalogue.rating("book")["count"] == opinions.of(book).count == 6
    assert not Event.objects.exclude(flag="").exists()
    assert reviews.release(Review.objects.all()) == 0


def test_no_query_forgets_what_is_held() -> None:
    """Whatever leaves hidden reviews out leaves held ones out too."""
    for path in RECOMMENDER.rglob("*.py"):
        for line in path.read_text().splitlines():
            assert "hidden=False" not in line or "held=" in line or "BooleanField" in line, f"{path}: {line}"


def test_orders_above_the_limit_are_placed_and_held(guard: Any, guest: Client, shop: Any, admin_client: Client) -> None:
    guard(address_orders={"soft": 1}, visitor_orders={"hard": 3, "soft": None})
    pages = []
    for n in range(3):
        guest.post(f"/item/{shop['books'][n].pk}/cart/", {"quantity": 1})
        pages.append(guest.post("/checkout/", {**ORDER, "address": "1  high STREET"}, follow=True).content.decode())
    assert ["being checked" in page for page in pages] == [False, True, True]
    assert "(being checked)" in guest.get("/account/orders/").content.decode()
    guest.post(f"/item/{shop['books'][3].pk}/cart/", {"quantity": 1})
    assert guest.post("/checkout/", ORDER).status_code == 429
    assert guest.get("/cart/").content.decode().count("cart-line") >= 1  # nothing is lost
    held = Order.objects.exclude(held="")
    assert list(held.values_list("held", "client")) == [("address_orders", "8.8.4.4")] * 2
    bought = Event.objects.filter(kind="purchase")
    assert bought.exclude(flag="").count() == 2
    listed = admin_client.get("/admin/recommender/order/?held=yes").content.decode()
    assert listed.count("too many orders in an hour to one address") == 2
    assert "2 orders" in listed
    ids = list(held.values_list("pk", flat=True))[:1]
    admin_client.post("/admin/recommender/order/", {"action": "release", "_selected_action": ids})
    assert held.count() == bought.exclude(flag="").count() == 1
    assert orders.release(Order.objects.all()) == 1
    assert not bought.exclude(flag="").exists()


def test_staff_release_reviews_and_see_flags(guard: Any, reader: Client, shop: Any, admin_client: Client) -> None:
    guard(visitor_reviews={"soft": 1})
    for book in shop["books"][:2]:
        write(reader, book)
    listed = admin_client.get("/admin/recommender/review/?held=yes").content.decode()
    assert "too many reviews in an hour" in listed
    assert "1 review" in listed
    assert "too many reviews" in admin_client.get("/admin/recommender/event/?broke=yes").content.decode()
    assert "0 events" in admin_client.get("/admin/recommender/event/?broke=no&kind__exact=like").content.decode()
    held = Review.objects.exclude(held="").get()
    sent = {"action": "release", "_selected_action": [held.pk]}
    assert "1 held reviews are released" in admin_client.post(
        "/admin/recommender/review/", sent, follow=True
    ).content.decode().replace("&nbsp;", " ")
    assert "Splendid" in Client().get(f"/item/{held.item_id}/").content.decode()


@pytest.mark.parametrize("door", ["/account/login/", "/admin/login/"])
def test_guessing_a_password_is_slowed_down(guard: Any, door: str) -> None:
    guard(pair_log_ins={"hard": 3})
    get_user_model().objects.create_superuser("owner", "o@example.com", "the-right-one-1")
    thief, owner = Client(**ADDRESS), Client(REMOTE_ADDR="8.8.8.8")
    got = [thief.post(door, {"username": "Owner", "password": f"guess-{n}"}).status_code for n in range(5)]
    assert got == [200, 200, 200, 429, 429]
    refused = thief.post(door, {"username": "owner", "password": "the-right-one-1"})
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    told = owner.post(door, {"username": "owner", "password": "the-right-one-1"})
    assert told.status_code == 302
    assert told.cookies[log_ins.COOKIE]["httponly"]
    access_log.flush()
    counted = Access.objects.filter(door="log_in").order_by("requests").values_list("client", "requests", "failures")
    assert sorted(counted) == [("8.8.4.4", 1, 1), ("8.8.4.4", 5, 5), ("8.8.8.8", 1, 0)]


@pytest.mark.parametrize("name", ["x" * 5000, "名前", "\x00", "\ud800".encode("utf-8", "surrogatepass"), ""])
def test_odd_names_are_no_fault(name: Any) -> None:
    client = Client(REMOTE_ADDR="::1", headers={"X-Forwarded-For": "\x7f, é"})
    client.cookies[log_ins.COOKIE] = "a:b:c"
    assert client.post("/account/login/", {"username": name, "password": "x"}).status_code == 200
    access_log.flush()
    assert Access.objects.get().failures == 1


def test_accounts_of_one_address(guard: Any) -> None:
    guard(client_accounts={"hard": 2})
    sent = {"password1": "a-good-one-77", "password2": "a-good-one-77"}
    got = [Client(**ADDRESS).post("/account/register/", {**sent, "username": f"new-{n}"}).status_code for n in range(3)]
    assert got == [302, 302, 429]


def test_no_query_is_added(guest: Client, shop: Any, settings: Any) -> None:
    address = f"/item/{shop['books'][0].pk}/"
    pages = ("/", address, "/cart/", "/account/login/")
    for page in pages:
        guest.get(page)
    counts = []
    for on in (False, True):
        settings.RECOMMENDER = {**settings.RECOMMENDER, "guard": {"on": on}}
        for page in pages:
            with CaptureQueriesContext(connection) as queries:
                guest.get(page)
            counts.append(len(queries))
    assert counts[:4] == counts[4:]


def test_a_cache_that_is_away_changes_nothing(guest: Client, shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("away")

    for name in ("add", "incr", "get", "set"):
        monkeypatch.setattr(caches["default"], name, away)
    assert guest.get("/item/book-00/").status_code == 200
    counters.forget()
    assert guest.post("/item/book-00/cart/", {"quantity": 1}).status_code == 302
    counters.forget()
    assert guest.post("/checkout/", ORDER).status_code == 302
    assert not Order.objects.get().held
