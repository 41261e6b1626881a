"""The search page, its filters and the suggestions under the box."""

import re
from decimal import Decimal
from html import unescape

import pytest
from django.urls import reverse

from recommender.models import Category, Event, Item
from recommender.services import search as service
from recommender.services.search import results

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def prints(db):
    Category.objects.create(slug="prints", name="Prints")
    Category.objects.create(slug="posters", name="Posters", parent_id="prints")
    for number in range(30):
        Item.objects.create(
            id=f"print-{number:02d}",
            title=f"Harbour {number:02d}",
            creator=("Ada Marsh", "Ben & Sons")[number % 2],
            category_id=("prints", "posters")[number % 3 == 0],
            price=Decimal(5 + number),
            stock=number % 4,
            attributes={"paper": ("matt", "glossy")[number % 2]},
        )


def shown(page):
    return [card.item.pk for card in page.context["cards"]]


def text(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(page.content.decode())))


def links(page, part):
    found = re.search(rf'<(aside|nav) class="{part}".*?</\1>', page.content.decode(), re.DOTALL)
    return [unescape(url) for url in re.findall(r'href="(\?[^"]+)"', found.group(0))] if found else []


def test_results_are_counted_paged_and_carry_a_trail(client, prints):
    page = client.get("/search/?q=harbour")
    assert "30 titles" in text(page)
    assert len(shown(page)) == 24
    card = page.context["cards"][2]
    assert (card.source.shelf, card.source.position, card.source.rec_id) == ("search", 3, page.context["answer"].rec_id)
    second = client.get("/search/?q=harbour&page=2")
    assert not set(shown(second)) & set(shown(page))
    assert second.context["cards"][0].source.position == 25
    assert shown(client.get("/search/?q=harbour&page=99")) == shown(second)
    assert "Previous" in text(second)


def test_a_click_on_a_result_is_recorded_with_where_it_stood(client, prints):
    page = client.get("/search/?q=harbour")
    client.get(page.context["cards"][4].url)
    event = Event.objects.get(item_id=page.context["cards"][4].item.pk)
    assert (event.shelf, event.position, event.rec_id) == ("search", 5, page.context["answer"].rec_id)


def test_filters_are_in_the_address_and_can_be_taken_back(client, prints):
    address = "/search/?q=harbour&category=posters&creator=Ada+Marsh&min_price=10&max_price=30&in_stock=1&a.paper=matt"
    page = client.get(address)
    chosen = Item.objects.filter(category="posters", creator="Ada Marsh", price__range=(10, 30), stock__gt=0)
    assert set(shown(page)) == set(chosen.values_list("pk", flat=True)) != set()
    assert f"{len(shown(page))} titles of 30" in text(page)
    chips = links(page, "chips")
    assert len(chips) == 6  # category, creator, price, stock, paper, and all of them
    for chip in chips[:-1]:
        assert len(shown(client.get("/search/" + chip))) >= len(shown(page))
    assert "30 titles" in text(client.get("/search/" + chips[-1]))
    for name in ("Posters", "Ada Marsh", "£10 to £30", "In stock", "Paper: matt"):
        assert name in text(page)


def test_every_facet_leads_to_as_many_titles_as_it_says(client, prints):
    page = client.get("/search/?q=harbour")
    facets = [link for group in page.context["groups"] for link in group.links]
    assert {group.title for group in page.context["groups"]} == {"Category", "By", "Price", "Availability", "Paper"}
    assert links(page, "narrow-by") == [link.url for link in facets]
    for link in facets:
        assert client.get("/search/" + link.url).context["page"].paginator.count == link.count, link.name


def test_facets_and_pages_keep_the_rest_of_the_address(client, prints):
    page = client.get("/search/?q=harbour&sort=price&category=prints")
    for url in [*links(page, "narrow-by"), *links(page, "pages")]:
        assert "q=harbour" in url and "sort=price" in url
    assert 'name="category" value="prints"' in page.content.decode()  # of the form for prices


def test_sorts(client, prints):
    prices = [card.item.price for card in client.get("/search/?q=harbour&sort=price").context["cards"]]
    assert prices == sorted(prices)
    prices = [card.item.price for card in client.get("/search/?q=harbour&sort=price-down").context["cards"]]
    assert prices == sorted(prices, reverse=True)
    assert client.get("/search/?q=harbour&sort=nonsense").context["sort"] == "relevance"


def test_filters_that_leave_nothing_offer_the_way_back(client, prints):
    page = client.get("/search/?q=harbour&min_price=9999")
    assert "No title is all that at once" in text(page)
    assert "See all 30" in text(page)


@pytest.mark.parametrize(
    "address",
    [
        "min_price=nan", "max_price=1e999", "min_price=-5", "min_price=x&max_price=", "category=%00",
        "creator=%ed%a0%80",        "a.=x", "a.%00=1", "a.paper=", "page=-1", "page=x", "sort=%00", "in_stock=maybe",
        "&".join(f"category=c{n}" for n in range(500)), "category=" + "x" * 5000, "min_price=99999999999999999999",
        "min_price=30&max_price=10", "a.__class__=x",
    ],
)  # fmt: skip
def test_nonsense_in_the_address_is_passed_over(client, prints, address):
    assert client.get(f"/search/?q=harbour&{address}").status_code == 200


@pytest.mark.parametrize("query", ["<script>alert(1)</script>", '"><img src=x>', "harbour' onmouseover='x"])
def test_nothing_typed_becomes_a_tag(client, prints, query):
    page = client.get("/search/", {"q": query, "creator": query, "a.<b>": query})
    content = page.content.decode()
    assert "<script>alert" not in content and "<img src=x" not in content and "' onmouseover" not in content


def test_a_misspelled_word_is_mended_and_said(client, prints):
    page = client.get("/search/?q=harbuor")
    assert len(shown(page)) == 24
    assert "Showing results for harbour" in text(page)


def test_a_doubted_word_is_asked_about(client, prints):
    Item.objects.create(id="typo", title="Harbout")
    page = client.get("/search/?q=harbout")
    assert shown(page) == ["typo"]
    url = unescape(re.search(r'Did you mean <a href="([^"]+)"', page.content.decode()).group(1))
    assert len(shown(client.get("/search/" + url))) == 24


def test_a_word_that_is_nowhere_is_left_out_and_said(client, prints):
    page = client.get("/search/?q=harbour+xylophone")
    assert "Nothing here holds “xylophone”" in text(page)
    assert shown(page)


def test_nothing_found_offers_something_all_the_same(client, prints):
    page = client.get("/search/?q=xyzzy")
    assert "Nothing found for “xyzzy”" in text(page)
    assert page.context["rows"][0].cards


def test_a_cut_result_says_so(client, prints, monkeypatch):
    monkeypatch.setattr(results, "CANDIDATES", 10)
    monkeypatch.setattr(service, "CANDIDATES", 10)
    assert "The 10 best of more titles" in text(client.get("/search/?q=harbour"))


def test_the_page_is_for_a_reader_of_screens_too(client, prints):
    page = client.get("/search/?q=harbour&category=prints").content.decode()
    assert '<p role="status">' in page
    assert 'aria-label="Narrow down"' in page
    assert 'aria-current="true" aria-label="Prints, chosen: take it back"' in page
    assert '<form class="search" role="search" action="/search/"' in page  # works without a script
    assert page.count("<h1") == 1


def test_suggestions(client, prints):
    answer = client.get("/search/suggest?q=har")
    offers = answer.json()["suggestions"]
    assert all(offer["kind"] == "title" and offer["text"].startswith("Harbour") for offer in offers)
    assert offers[0]["url"] == f"/item/print-{offers[0]['text'][-2:]}/"
    assert all(client.get(offer["url"]).status_code == 200 for offer in offers)
    assert "private" in answer["Cache-Control"]
    offers = client.get("/search/suggest?q=ben").json()["suggestions"]
    assert {"kind": "creator", "text": "Ben & Sons", "url": "/search/?q=Ben+%26+Sons"} in offers
    offers = client.get("/search/suggest?q=post").json()["suggestions"]
    assert {"kind": "category", "text": "Posters", "url": "/category/posters/"} in offers


@pytest.mark.parametrize("query", ["", "%00", "%ed%a0%80", "x" * 5000, "%22%20OR%20*", "zzzz"])
def test_suggestions_for_anything(client, prints, query):
    answer = client.get(f"/search/suggest?q={query}")
    assert (answer.status_code, answer.json()["suggestions"]) == (200, [])


def test_only_reading(client, prints):
    assert client.post("/search/").status_code == 405
    assert client.post(reverse("storefront:suggest")).status_code == 405


def test_few_queries(client, prints, django_assert_max_num_queries):
    client.get("/search/?q=harbour")
    with django_assert_max_num_queries(14):
        client.get("/search/?q=harbour")


def test_taste_has_a_say(client, live_run, shop):
    """A shopper of records searches for a word that all items hold."""
    Item.objects.update(description="postcard", creator="", category=None)  # equally relevant
    before = shown(client.get("/search/?q=postcard"))
    assert not client.get("/search/?q=postcard").context["answer"].personal
    for number in (3, 5, 7):
        client.get(f"/item/record-{number:02d}/")
    page = client.get("/search/?q=postcard")
    assert page.context["answer"].personal
    assert "with a little regard to your taste" in text(page)
    assert page.context["cards"][0].source.run_id == live_run.pk

    def records(found):
        return sum(item_id.startswith("record") for item_id in found[:12])

    assert records(shown(page)) >= 7 > records(before)
