"""Registering, logging in and out, and what belongs to whom."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from recommender.models import CartLine, Event, Order, Visitor
from recommender.storefront.forms import RegisterForm
from recommender.storefront.visitor import COOKIE

pytestmark = [pytest.mark.django_db, pytest.mark.database]

PASSWORD = "a-fine-folio-7"
NEW = {"username": "ada", "email": "", "password1": PASSWORD, "password2": PASSWORD}


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada", password=PASSWORD)


def log_in(client, **values):
    return client.post("/account/login/", {"username": "ada", "password": PASSWORD, **values}, follow=True)


def test_what_a_guest_did_comes_along_at_login(client, shop, ada):
    client.get("/item/book-00/")
    client.get("/item/book-01/")
    client.post("/item/book-00/cart/", {"quantity": "1"})
    guest_id = client.cookies[COOKIE].value
    page = log_in(client)
    assert b"came along" in page.content
    mine = Event.objects.filter(visitor_id=f"account:{ada.pk}")
    assert mine.count() == 3
    assert not Event.objects.filter(visitor_id=guest_id).exists()
    assert CartLine.objects.get().visitor_id == f"account:{ada.pk}"
    assert Visitor.objects.get(pk=guest_id).merged_into_id == f"account:{ada.pk}"
    assert client.cookies[COOKIE].value != guest_id


def test_nothing_is_said_where_nothing_came_along(client, shop, ada):
    page = log_in(client)
    assert b"Welcome back" in page.content and b"came along" not in page.content


def test_what_a_guest_did_comes_along_at_registration(client, shop):
    client.get("/item/book-00/")
    page = client.post("/account/register/", NEW, follow=True)
    assert b"Your account is ready" in page.content and b"came along" in page.content
    ada = get_user_model().objects.get(username="ada")
    assert Event.objects.get().visitor_id == f"account:{ada.pk}"


def test_after_logging_out_the_browser_is_a_stranger(client, shop, ada):
    client.get("/item/book-00/")
    log_in(client)
    client.post("/account/logout/")
    client.get("/item/book-01/")
    assert Event.objects.get(item_id="book-01").visitor_id == client.cookies[COOKIE].value
    assert b"Title 001" not in client.get("/account/history/").content
    log_in(client)
    assert b"Title 001" in client.get("/account/history/").content


def test_logging_out_needs_a_post(client, shop, ada):
    log_in(client)
    assert client.get("/account/logout/").status_code == 405
    assert b"Account" in client.get("/").content


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_next_leads_nowhere_else(client, shop, ada, target):
    done = client.post("/account/register/", {**NEW, "username": "bea", "next": target})
    assert done.url == "/"
    client.post("/account/logout/")
    assert client.post("/account/login/", {"username": "ada", "password": PASSWORD, "next": target}).url == "/"


def test_next_leads_back_to_the_item(client, shop, ada):
    page = client.get("/account/login/?next=/item/book-00/").content
    assert b'name="next" value="/item/book-00/"' in page
    done = client.post("/account/login/", {"username": "ada", "password": PASSWORD, "next": "/item/book-00/"})
    assert done.url == "/item/book-00/"


@pytest.mark.parametrize(
    "values",
    [
        {"username": ""},
        {"username": "ADA"},
        {"username": "a b"},
        {"username": "\x00"},
        {"password2": "other"},
        {"password1": "12345678", "password2": "12345678"},
        {"email": "nobody"},
    ],
)
def test_registration_says_what_is_wrong(client, shop, ada, values):
    page = client.post("/account/register/", {**NEW, "username": "bea", **values})
    assert page.status_code == 200 and b"errorlist" in page.content
    assert get_user_model().objects.count() == 1


def test_a_name_that_another_request_takes_at_the_same_moment_is_said_to_be_taken(client, shop, monkeypatch):
    monkeypatch.setattr(RegisterForm, "clean_username", lambda form: form.cleaned_data["username"])
    monkeypatch.setattr(RegisterForm, "validate_unique", lambda form: None)
    get_user_model().objects.create_user("quick")
    values = {"username": "quick", "password1": PASSWORD, "password2": PASSWORD}
    answer = client.post("/account/register/", values)
    assert answer.status_code == 200
    assert "just taken that name" in answer.content.decode()


def test_wrong_password_is_answered_kindly(client, shop, ada):
    page = log_in(client, password="wrong")
    assert page.status_code == 200 and b"do not go together" in page.content


def test_change_the_password(client, shop, ada):
    assert client.get("/account/password/").status_code == 302
    log_in(client)
    new = "quite-another-1"
    page = client.post(
        "/account/password/",
        {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
        follow=True,
    )
    assert b"Your password is changed" in page.content
    ada.refresh_from_db()
    assert ada.check_password(new)


def test_account_pages_for_guests_and_readers(shop, reader):
    for browser in (Client(), reader):
        browser.get("/item/book-00/")
        browser.post("/item/book-01/cart/", {"quantity": "1"})
        browser.post("/checkout/", {"name": "A", "email": "a@example.com", "address": "Here"})
        overview = browser.get("/account/").content
        assert b"Title 001" in overview and b"Title 002" in overview
        order = Order.objects.latest("placed_at").pk.encode()
        assert order in browser.get("/account/orders/").content
        history = browser.get("/account/history/").content
        assert b"Looked at" in history and b"Bought" in history and b"Put into the cart" in history
    assert reader.get("/account/reviews/").status_code == 200
    assert Client().get("/account/reviews/").status_code == 302


def test_history_is_paginated_and_hides_impressions(reader, shop):
    visitor = Visitor.objects.create(id=f"account:{reader.user.pk}", kind="account", account=reader.user)
    book = shop["books"][0]
    Event.objects.bulk_create([Event(visitor=visitor, item=book, kind="view") for _ in range(45)])
    Event.objects.bulk_create([Event(visitor=visitor, item=book, kind="impression") for _ in range(5)])
    page = reader.get("/account/history/?page=99")
    assert (page.context["page"].number, page.context["page"].paginator.count) == (3, 45)


def test_every_page_carries_its_landmarks_and_no_inline_script(client, shop, reader):
    reader.post("/item/book-00/cart/", {"quantity": "1"})
    own = ("orders", "history", "reviews", "password")
    urls = ["/", "/categories/", "/category/books/", "/search/?q=title", "/item/book-00/", "/cart/", "/checkout/"]
    urls += ["/account/", *(f"/account/{name}/" for name in own), "/none/"]
    for url in urls:
        page = reader.get(url).content.decode()
        assert page.count("<h1") == 1, url
        for part in ('<a class="skip" href="#main">', '<main id="main"', "<header", "<footer", 'role="search"'):
            assert part in page, (url, part)
        assert "<script>" not in page and " onclick=" not in page and " style=" not in page, url
