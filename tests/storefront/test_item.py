"""The item page: what it shows, what it records, and what shoppers can say on it."""

import json
from datetime import timedelta
from html import unescape

import pytest
from django.db import OperationalError
from django.utils import timezone

from recommender.models import Event, Review, Visitor
from recommender.services import events
from recommender.storefront.visitor import COOKIE

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def views():
    return Event.objects.filter(kind=Event.Kind.VIEW)


def test_item_with_nothing_but_a_title_has_a_page(client, item):
    item("bare", price=None)
    page = client.get("/item/bare/").content.decode()
    assert "Price on request" in page
    assert "Add to cart" not in page
    assert 'class="cover ' in page  # drawn, since there is no picture


def test_item_page_shows_everything(client, shop, sound):
    book = shop["books"][0]
    book.sound, book.stock = sound, 3
    book.attributes = {"year": 1899, "subjects": ["sea", "storms"], "signed": True, "nested": {"x": 1}, "empty": ""}
    book.attributes["shelf"] = "books"  # the category has a line of its own
    book.description = "One paragraph.\n\nAnother <b>one</b>."
    book.save()
    page = client.get(f"/item/{book.pk}/").content.decode()
    assert page.count("/media/pictures/cover.png") >= 2
    assert '<audio controls preload="none" src="/media/sounds/tone.wav"' in page
    assert "Only 3 left" in page
    assert "<dt>Subjects</dt><dd>Sea, storms</dd>" in page
    assert "<dt>Signed</dt><dd>Yes</dd>" in page
    assert "Nested" not in page and "<dt>Shelf</dt>" not in page
    assert "&lt;b&gt;one&lt;/b&gt;" in page
    assert "/search/?q=A.%20Writer" in page


@pytest.mark.parametrize("attributes", [{}, [], "text", 3, None, {"": "x", "a": None, "b": [{"c": 1}]}])
def test_strange_attributes_do_no_harm(client, item, attributes):
    item("odd", attributes=attributes if attributes is not None else {})
    assert client.get("/item/odd/").status_code == 200


def test_unusual_ids_work(client, item):
    for item_id in ("a:b", "É-1", "x&y=z", "(1)", "a'b\"c", "+1", "85123A"):
        item(item_id)
        assert client.get(f"/item/{item_id}/").status_code == 200
    page = client.get("/")
    for card in page.context["rows"][0].cards:
        assert client.get(card.url).status_code == 200


def test_hidden_items_are_not_shown(client, item):
    item("gone", active=False)
    assert client.get("/item/gone/").status_code == 404


def test_sold_out_says_so_and_shows_what_is_like_it(client, shop):
    shop["books"][0].stock = 0
    shop["books"][0].save()
    page = client.get("/item/book-00/").content.decode()
    assert "Sold out" in page and 'href="#more"' in page and "Add to cart" not in page
    assert page.count('class="card"') > 3


def test_canonical_link_is_without_the_trail(client, shop):
    page = client.get("/item/book-00/?shelf=popular&at=3").content
    assert b'rel="canonical" href="http://testserver/item/book-00/"' in page


def test_similar_and_bought_together(client, live_run):
    page = client.get("/item/record-05/")
    titles = [row.title for row in page.context["rows"]]
    assert titles[0] == "Similar items"
    shown = [card.item.pk for row in page.context["rows"] for card in row.cards]
    assert len(shown) == len(set(shown))
    assert sum(item_id.startswith("record") for item_id in shown) > len(shown) / 2


# What is recorded


@pytest.mark.parametrize(
    "query",
    [
        "rec=1&run=2&shelf=3&at=4",
        "run=999999999999999999999&at=99999999999",
        "run=-1&at=-1&rec=%00&shelf=%00",
        "shelf=" + "x" * 500,
        "rec=&run=&shelf=&at=",
        "run=1.5&at=1e3&shelf=<b>",
        "at=%F0%9F%98%80&run=%C2%B2",
        "at=1&at=2&at",
    ],
)
def test_nonsense_in_the_address_is_ignored(client, shop, query):
    assert client.get(f"/item/book-00/?{query}").status_code == 200
    event = views().get()
    assert event.run_id is None and event.rec_id is None


def test_a_view_is_recorded_once_within_half_a_minute(client, shop):
    client.get("/item/book-00/?shelf=popular&at=3")
    client.get("/item/book-00/")
    assert views().count() == 1
    assert (views().get().shelf, views().get().position) == ("popular", 3)
    views().update(occurred_at=timezone.now() - timedelta(minutes=1))
    client.get("/item/book-00/")
    assert views().count() == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
        {"User-Agent": "SomeSpider/1.0"},
        {"Referer": "http://testserver/item/book-00/?reviews=2"},
    ],
)
def test_what_is_not_a_look_is_not_recorded(client, shop, headers):
    assert client.get("/item/book-00/", headers=headers).status_code == 200
    assert not views().exists()


@pytest.mark.parametrize("referer", ["http://[", "http://[::1", "\\", "\x00"])
def test_a_referer_that_is_no_address_does_no_harm(client, shop, referer):
    assert client.get("/item/book-00/", headers={"Referer": referer}).status_code == 200
    assert views().exists()


def test_head_is_not_recorded_and_posting_is_refused(client, shop):
    assert client.head("/item/book-00/").status_code == 200
    assert client.post("/item/book-00/").status_code == 405
    assert not Event.objects.exists()


def test_a_page_that_cannot_be_counted_is_still_a_page(client, shop, monkeypatch):
    def locked(*args, **kwargs):
        raise OperationalError("database is locked")

    monkeypatch.setattr(events, "record_view", locked)
    assert client.get("/item/book-00/").status_code == 200


def test_opinions_are_recorded_once_and_shown(client, shop):
    for kind in ("like", "like", "dislike", "nonsense", ""):
        assert client.post("/item/book-00/opinion/", {"kind": kind}).status_code == 302
    kinds = list(Event.objects.exclude(kind="view").order_by("id").values_list("kind", flat=True))
    assert kinds == ["like", "dislike"]
    page = client.get("/item/book-00/").content.decode()
    assert 'value="dislike" aria-pressed="true"' in page
    assert 'value="like" aria-pressed="false"' in page


# The beacon


def beacon(client, cards):
    text = cards if isinstance(cards, str) else json.dumps(cards)
    return client.post("/beacon/", {"cards": text})


def test_beacon_records_what_was_seen(client, live_run):
    client.get("/")
    cards = [
        {"item": f"book-{n:02d}", "run": str(live_run.pk), "rec": "", "shelf": "popular", "at": str(n + 1)}
        for n in range(3)
    ]
    assert beacon(client, cards).status_code == 204
    seen = Event.objects.filter(kind=Event.Kind.IMPRESSION)
    assert sorted(seen.values_list("item_id", "run_id", "shelf", "position")) == [
        (f"book-{n:02d}", live_run.pk, "popular", n + 1) for n in range(3)
    ]


@pytest.mark.parametrize(
    "cards",
    [
        "",
        "{",
        "null",
        "3",
        '"text"',
        "{}",
        "[1, null, [], {}]",
        "[" * 100_000,
        [{"item": "none"}],
        [{"item": None}, {"item": ["book-00"]}, {"item": {"a": 1}}, {"item": "\u0000"}, {"item": "x" * 10_000}],
    ],
)
def test_beacon_drops_nonsense(client, shop, cards):
    client.get("/")
    assert beacon(client, cards).status_code == 204
    assert not Event.objects.exists()


def test_beacon_keeps_the_good_part_of_a_strange_card_and_at_most_a_hundred(client, shop):
    client.get("/")
    odd = {"item": "book-00", "run": {"a": 1}, "rec": [], "shelf": 5, "at": "x"}
    assert beacon(client, [odd] * 500).status_code == 204
    assert Event.objects.count() == 100
    event = Event.objects.first()
    assert (event.run_id, event.rec_id, event.shelf, event.position) == (None, None, "", None)


def test_beacon_needs_a_cookie_and_a_token(client, shop):
    assert beacon(client, [{"item": "book-00"}]).status_code == 204
    assert not Visitor.objects.exists()
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.get("/")
    assert beacon(strict, [{"item": "book-00"}]).status_code == 403
    token = strict.cookies["csrftoken"].value
    done = strict.post("/beacon/", {"cards": '[{"item": "book-00"}]', "csrfmiddlewaretoken": token})
    assert done.status_code == 204
    assert Event.objects.count() == 1
    assert client.get("/beacon/").status_code == 405


# Reviews


def review(client, **values):
    return client.post("/item/book-00/review/", {"stars": "4", "title": "Good", "body": "Fine.", **values})


def test_guests_are_asked_to_log_in(client, shop):
    page = client.get("/item/book-00/").content
    assert b"/account/login/?next=/item/book-00/" in page
    assert review(client).url == "/account/login/?next=/item/book-00/"
    assert client.post("/item/book-00/review/delete/").url == "/account/login/?next=/item/book-00/"
    assert not Review.objects.exists()


def test_write_change_and_delete_a_review(reader, shop):
    assert review(reader).status_code == 302
    assert review(reader, stars="2", title="On second thoughts").status_code == 302
    written = Review.objects.get()
    assert (written.stars, written.title) == (2, "On second thoughts")
    assert [event.value for event in Event.objects.filter(kind="rating").order_by("id")] == [4, 2]
    page = reader.get("/item/book-00/").content.decode()
    assert "On second thoughts" in page and "Change your review" in page and "(yours)" in page
    reader.post("/item/book-00/review/delete/")
    assert not Review.objects.exists()


@pytest.mark.parametrize(
    "values", [{"stars": ""}, {"stars": "6"}, {"stars": "0"}, {"stars": "x"}, {"body": "x" * 6000}]
)
def test_a_review_that_does_not_fit_comes_back_with_its_words(reader, shop, values):
    page = review(reader, title="My long headline", **values)
    assert page.status_code == 200
    assert b"My long headline" in page.content
    assert b"errorlist" in page.content
    assert not Review.objects.exists()


def test_hidden_reviews_are_not_shown_or_counted(client, shop):
    for n, hidden in enumerate((False, False, True)):
        visitor = Visitor.objects.create(id=f"v{n}")
        words = "Shown" if not hidden else "Secret"
        Review.objects.create(
            visitor=visitor, item=shop["books"][0], stars=5 if not hidden else 1, title=words, hidden=hidden
        )
    page = client.get("/item/book-00/").content.decode()
    assert "Shown" in page and "Secret" not in page
    assert "2 reviews" in page and "5.0 out of 5 stars" in page


def test_reviews_are_escaped_and_paginated(client, shop):
    for n in range(12):
        visitor = Visitor.objects.create(id=f"v{n}")
        Review.objects.create(
            visitor=visitor, item=shop["books"][0], stars=3, title=f"Number {n}", body="<script>x</script>"
        )
    page = client.get("/item/book-00/").content.decode()
    assert "<script>x" not in page
    assert 'href="?reviews=2#reviews"' in unescape(page)
    for number in ("2", "99", "x", "-4"):
        assert client.get(f"/item/book-00/?reviews={number}").status_code == 200


def said(shop, n, stars, body, **values):
    visitor = Visitor.objects.create(id=f"said-{n}")
    at = timezone.now() - timedelta(days=n)
    return Review.objects.create(
        visitor=visitor, item=shop["books"][0], stars=stars, body=body, created_at=at, **values
    )


def test_what_reviews_praise_and_fault_leads_to_the_review(client, shop):
    for n in range(8):
        said(shop, n, 4, "Fine.", sentiment=0.9)
    point = {"about": "plot", "words": "The plot <b>twists</b>.", "praise": 0.95}
    far = said(shop, 9, 5, "The plot <b>twists</b>.", sentiment=0.95, points=[point])
    near = said(
        shop,
        0.5,
        1,
        "The paper tore.",
        sentiment=0.05,
        points=[{"about": "paper", "words": "The paper tore.", "praise": 0.04}],
    )
    said(shop, 10, 1, "x", points=[{"about": "secret", "words": "A secret.", "praise": 0.01}], hidden=True)
    page = client.get("/item/book-00/").content.decode()
    assert "What they praise" in page and "What they fault" in page
    assert f'href="?reviews=2#review-{far.pk}"' in page and f'href="#review-{near.pk}"' in page
    assert f'id="review-{near.pk}"' in page and f'id="review-{far.pk}"' not in page
    assert f'id="review-{far.pk}"' in client.get("/item/book-00/?reviews=2").content.decode()
    assert "The plot &lt;b&gt;twists&lt;/b&gt;." in page and "<b>twists" not in page
    assert "secret" not in page.lower()
    assert "<b>90%</b> praise" in page and "<b>0%</b> mixed" in page and "<b>10%</b> fault" in page


def test_few_reviews_are_not_summed_up(client, shop):
    said(shop, 1, 5, "Fine.")
    page = client.get("/item/book-00/").content.decode()
    assert "once there are three reviews with words" in page and "What they praise" not in page
    said(shop, 2, 5, "Fine."), said(shop, 3, 5, "Fine.")
    page = client.get("/item/book-00/").content.decode()
    assert "Nothing in particular is praised" in page and "<b>100%</b> praise" in page


def test_times_are_machine_readable_and_utc_in_words(client, shop):
    client.get("/item/book-00/")
    views().update(occurred_at="2026-03-01T23:30:00+00:00")
    page = client.get("/account/history/").content.decode()
    assert '<time datetime="2026-03-01T23:30:00Z" data-show="">1 March 2026, 23:30 UTC</time>' in page


def test_words_are_utc_whatever_the_site_s_zone(client, shop, settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    client.get("/item/book-00/")
    views().update(occurred_at="2026-03-01T23:30:00+00:00")
    assert b"1 March 2026, 23:30 UTC" in client.get("/account/history/").content


def test_cookie_is_the_visitor_of_the_events(client, shop):
    client.get("/item/book-00/")
    assert views().get().visitor_id == client.cookies[COOKIE].value
