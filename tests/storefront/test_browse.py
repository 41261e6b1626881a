"""Front page, categories and search, from an empty shop to a personal one."""

import re
from html import unescape

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recommender.models import Event, Run, Visitor
from recommender.services import publishing
from recommender.storefront import shelves as page_shelves
from recommender.storefront.visitor import COOKIE

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def shelves(response):
    """{title: [item ids]} of a page."""
    found = {}
    for part in response.content.decode().split('<section class="shelf"')[1:]:
        title = unescape(re.search(r"<h2[^>]*>(.*?)</h2>", part).group(1))
        found[title] = re.findall(r'data-item="([^"]+)"', part)
    return found


def links(response):
    return [unescape(url) for url in re.findall(r'href="(/item/[^"]+)"', response.content.decode())]


def test_empty_shop_has_sensible_pages(client):
    assert b"shelves are still empty" in client.get("/").content
    assert b"no categories yet" in client.get("/categories/").content
    assert client.get("/search/?q=anything").status_code == 200
    assert client.get("/cart/").status_code == 200
    assert client.get("/account/").status_code == 200


def test_one_item_is_a_shop(client, item):
    item("only", title="The only one")
    assert b"The only one" in client.get("/").content
    page = client.get("/item/only/")
    assert page.status_code == 200
    assert shelves(page) == {}


def test_first_time_guest_sees_departments_and_popular_items(client, shop):
    page = client.get("/")
    assert b'class="hero"' in page.content
    assert set(shelves(page)) == {"Books", "Records", "New in the shop"}  # nothing is popular yet


def test_nothing_stands_twice_on_the_front_page(client, shop, live_run):
    client.get("/item/book-03/")
    shown = [item_id for ids in shelves(client.get("/")).values() for item_id in ids]
    assert len(shown) == len(set(shown)) > 12


def test_first_click_changes_the_very_next_page(client, shop, live_run):
    before = shelves(client.get("/"))
    assert not any(title.startswith("Picked for you") for title in before)
    client.get("/item/record-05/")
    page = client.get("/")
    after = shelves(page)
    picked = after["Picked for you"]
    assert sum(item_id.startswith("record") for item_id in picked[:6]) >= 5
    assert after["Recently viewed"] == ["record-05"]
    assert "Because you looked at Title" in page.content.decode()
    assert Run.objects.count() == 1  # nothing was trained meanwhile


def test_a_reason_that_all_cards_share_is_said_once(client, shop, live_run, monkeypatch):
    monkeypatch.setattr(page_shelves, "SHELF_LENGTH", 4)  # in a shop so small, the looks speak against more
    client.get("/item/record-05/")
    once = client.get("/")
    assert once.content.decode().count("Because you looked at") == 1
    assert not any(title.startswith("More like") for title in shelves(once))  # it would say the same again
    client.get("/item/book-03/")
    twice = client.get("/")
    assert twice.content.decode().count("Because you looked at") == len(shelves(twice)["Picked for you"])
    assert any(title.startswith("More like") for title in shelves(twice))


def test_departments_without_pictures_have_a_drawn_face(client, shop):
    assert client.get("/").content.decode().count('<div class="tile-stage"><span class="cover') == 2


def test_first_click_changes_the_next_page_without_a_model_too(client, shop):
    client.get("/item/record-05/")
    after = shelves(client.get("/"))
    assert after["Recently viewed"] == ["record-05"]
    assert not any(title.startswith("Picked for you") for title in after)
    similar = after[next(title for title in after if title.startswith("More like"))]
    assert all(item_id.startswith("record") for item_id in similar)


def test_cards_carry_run_shelf_and_position_and_the_click_brings_them_back(client, shop, live_run):
    client.get("/item/record-05/")
    url = next(url for url in links(client.get("/")) if "shelf=for-you" in url and "at=2" in url)
    assert f"run={live_run.pk}" in url
    client.get(url)
    event = Event.objects.filter(visitor_id=client.cookies[COOKIE].value).latest("id")
    assert (event.run_id, event.shelf, event.position, event.kind) == (live_run.pk, "for-you", 2, "view")
    assert str(event.rec_id) in url


@pytest.mark.parametrize("who", ["new guest", "guest", "reader"])
def test_front_page_asks_the_database_little(client, django_user_model, shop, live_run, monkeypatch, who):
    monkeypatch.setattr(page_shelves, "SHELF_LENGTH", 4)  # so that the small shop fills all shelves, as a real one does
    if who == "reader":
        client.force_login(django_user_model.objects.create_user("someone"))
    if who != "new guest":
        client.get("/item/book-03/")
    client.get("/")  # rules and experiments are read once in a while
    with CaptureQueriesContext(connection) as queries:
        page = client.get("/")
    own = 2 if who == "reader" else 0  # the session and the account
    assert len(queries) <= 5 + own + len(shelves(page)), [query["sql"][:120] for query in queries]


def test_front_page_makes_no_rows_and_no_session_for_a_guest(client, shop):
    client.get("/")
    assert (
        COOKIE in client.cookies and client.cookies[COOKIE]["httponly"] and client.cookies[COOKIE]["samesite"] == "Lax"
    )
    assert "sessionid" not in client.cookies
    assert not Visitor.objects.exists()


def test_a_cookie_that_is_not_ours_is_replaced(client, shop):
    for value in ("guest:nothex", "account:1", "guest:" + "a" * 31, "x" * 500):
        client.cookies[COOKIE] = value
        client.get("/")
        assert re.fullmatch(r"guest:[0-9a-f]{32}", client.cookies[COOKIE].value)


def test_staff_alone_are_told_that_no_model_serves(client, shop):
    words = b"No trained model is live"
    assert words not in client.get("/").content
    client.force_login(get_user_model().objects.create_user("shopper"))
    assert words not in client.get("/").content
    client.force_login(get_user_model().objects.create_superuser("staff"))
    assert words in client.get("/").content


def test_staff_are_told_nothing_while_a_model_serves_and_again_when_it_is_withdrawn(client, live_run):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    assert b'class="staff"' not in client.get("/").content
    publishing.withdraw("A test.")
    assert b"No trained model is live" in client.get("/").content


def test_category_shows_its_childrens_items_with_a_way_back(client, shop):
    page = client.get("/category/books/")
    assert page.context["page"].paginator.count == 20
    assert b"/category/poetry/" in page.content
    below = client.get("/category/poetry/")
    assert below.context["page"].paginator.count == 10
    assert b'<a href="/category/books/">Books</a>' in below.content


def test_category_pages_and_sorting(client, category, item):
    many = category("many")
    for n in range(50):
        item(category=many, price=None if n == 7 else 50 - n)
    first = client.get("/category/many/?sort=price")
    assert [card.item.price for card in first.context["cards"]][:2] == [1, 2]
    assert 'rel="next" href="?sort=price&page=2"' in unescape(first.content.decode())
    last = client.get("/category/many/?sort=price&page=999")
    assert last.context["page"].number == 3
    assert last.context["cards"][-1].item.price is None  # on request comes last
    assert b'rel="prev"' in last.content
    for nonsense in ("?page=x", "?page=-1", "?page=" + "9" * 5000, "?sort=nothing", "?page=&sort="):
        assert client.get(f"/category/many/{nonsense}").status_code == 200


def test_empty_category_offers_something_else(client, shop, category):
    category("bare")
    page = client.get("/category/bare/")
    assert b"Nothing stands here" in page.content
    assert shelves(page)


def test_search_finds_counts_and_pages(client, shop):
    page = client.get("/search/", {"q": "writer"})
    assert page.context["page"].paginator.count == 20
    assert b"20 titles" in page.content
    assert b'value="writer"' in page.content


@pytest.mark.parametrize("query", ["", "   ", "zzzz", "\x00", "%", "<script>", "'; --", "x" * 3000, "\x00 title"])
def test_search_always_answers_and_offers_popular_items_where_it_finds_nothing(client, shop, query):
    page = client.get("/search/", {"q": query})
    assert page.status_code == 200
    assert shelves(page) or page.context["cards"]
    assert b"<script>" not in page.content.replace(b"<script src", b"")


def test_unknown_things_are_not_found(client, shop):
    for url in (
        "/item/none/",
        "/item/%00/",
        "/item/a b/",
        "/category/none/",
        "/order/none/",
        "/media/none.jpg",
        "/nowhere/",
    ):
        page = client.get(url)
        assert page.status_code == 404, url
        assert b"not on our shelves" in page.content


def test_redis_is_not_on_the_path(client, shop, settings, live_run):
    settings.CELERY_BROKER_URL = settings.REDIS_URL = "redis://127.0.0.1:1/0"
    for url in ("/", "/item/book-01/", "/category/books/", "/search/?q=title", "/cart/", "/account/"):
        assert client.get(url).status_code == 200


def test_every_link_of_the_front_page_leads_somewhere(client, shop):
    page = client.get("/")
    for url in set(re.findall(r'href="(/[^"]*)"', page.content.decode())):
        if not url.startswith("/static/"):
            assert client.get(unescape(url)).status_code == 200, url


def test_pages_are_not_cached_by_others(client, shop):
    assert "private" in client.get("/")["Cache-Control"]
