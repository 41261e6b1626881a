"""Why something is recommended, what a shopper can do about it, and the page where all of it stands together."""

import html
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from recommender.models import Event
from recommender.services import controls, events, people, serving
from recommender.storefront.visitor import COOKIE

pytestmark = [pytest.mark.django_db, pytest.mark.database]

PAGE = "/account/recommendations/"


@pytest.fixture
def guest(client, shop, settings):
    """A guest who looked at two books."""
    settings.RECOMMENDER = {**settings.RECOMMENDER, "serving": {"explore": 0.0}}
    client.get("/cart/")
    someone = people.ensure(me(client))
    for book in shop["books"][3:5]:
        events.record(someone, book, "view")
    return client


@pytest.fixture
def browser(guest, live_run):
    """The same where a model serves."""
    return guest


def text(response) -> str:
    return response.content.decode()


def me(client) -> str:
    return client.cookies[COOKIE].value


def wishes(client) -> controls.Controls:
    return controls.read(me(client))


def picked(response) -> list[str]:
    """The items on the shelf that is put together for the shopper."""
    shelf = text(response).partition('id="shelf-for-you"')[2].partition("</section>")[0]
    return re.findall(r'data-item="([^"]+)"', shelf)


def whys(response) -> list[str]:
    return [html.unescape(link) for link in re.findall(r'class="why" href="([^"]+)"', text(response))]


def post(client, where: str = "/", **fields):
    return client.post(PAGE, {"next": where, **fields}, follow=True)


def undo(client, response):
    """Press the button that a message offers."""
    form = text(response).partition('class="notes"')[2].partition("</form>")[0]
    assert "Undo" in form
    [[name, value]] = re.findall(r'<button class="[^"]+" name="([^"]+)" value="([^"]+)"', form)
    return post(client, **{name: html.unescape(value)})


# Why this? ----------------------------------------------------------------------------------------------------------


def test_every_recommended_card_says_why_and_no_other(browser):
    front = browser.get("/")
    cards = re.findall(r'<li class="card" data-item', text(front))
    recent = text(front).partition('id="shelf-recent"')[2].partition("</section>")[0]
    assert len(whys(front)) == len(cards) - recent.count('<li class="card"') > 0
    assert 'class="why"' not in recent and 'class="why"' not in text(browser.get("/category/books/"))


def test_why_names_what_was_done_with_its_part(browser):
    [link, *_] = [link for link in whys(browser.get("/")) if "shelf=for-you" in link]
    said = text(browser.get(link))
    item_id = re.match(r"/why/([^/]+)/", link)[1]
    told = serving.why(me(browser), item_id)
    assert told.shares and sum(share.share for share in told.shares) == pytest.approx(1, abs=0.01)
    for share in told.shares:
        assert f"You {share.verb} <b>{share.title}</b>" in said and f'value="{share.share:.3f}"' in said
        assert f'name="ignore" value="{share.item_id}"' in said
    assert f'name="dislike" value="{item_id}"' in said and 'name="never" value="category:' in said
    assert 'value="creator:A. Writer"' in said and said.count("<h1") == 1


def test_a_dialog_gets_the_part_alone(browser):
    link = whys(browser.get("/"))[0]
    part = text(browser.get(f"{link}&part=1"))
    assert "<html" not in part and "<h1" not in part and 'id="why-title"' in part and "csrfmiddlewaretoken" in part


def test_rules_chance_and_estimates_are_told(guest, monkeypatch):
    share = serving.Share("book-03", "Title 004", "looked at", 0.001)
    answer = serving.Why([share], "model", ("Autumn", "No <b>"), False)
    monkeypatch.setattr(serving, "why", lambda visitor_id, item_id: answer)
    said = text(guest.get("/why/book-05/?shelf=for-you&origin=trending&chance=0.125"))
    assert "rules: “Autumn”, “No &lt;b&gt;”" in said and "estimated" in said and "less than 1 %" in said
    assert "drawn by chance" in said and "12 %" in said and "these days" in said


def test_nonsense_in_a_link_says_nothing(guest):
    for chance, origin in (("", ""), ("x", "nonsense"), ("nan", "\0"), ("-1", ""), ("2", ""), ("1e999", "")):
        answer = guest.get("/why/book-05/", {"shelf": "for-you", "chance": chance, "origin": origin, "run": "x"})
        assert answer.status_code == 200 and "drawn by chance" not in text(answer)


def test_a_shelf_that_is_the_same_for_all_says_so_without_looking_at_the_history(guest, monkeypatch):
    monkeypatch.setattr(serving, "why", None)
    for shelf in ("similar", "together", "new", "popular-books", "trending", "else"):
        assert "What you did has no part" in text(guest.get(f"/why/book-05/?shelf={shelf}"))


def test_why_of_what_is_not_there(guest):
    assert [guest.get(f"/why/{item_id}/").status_code for item_id in ("nothing", "a%00b")] == [404, 404]


# What can be done about it ------------------------------------------------------------------------------------------


def test_not_interested_takes_an_item_off_and_undo_brings_it_back(browser):
    first = picked(browser.get("/"))[0]
    answer = post(browser, dislike=first, rec="0f4e7c1e-58a5-4f5c-9d0b-3a8f6f1f0c11", shelf="for-you", at="1")
    assert answer.redirect_chain == [("/", 302)] and "will not be recommended" in text(answer)
    assert f'data-item="{first}"' not in text(answer)
    event = Event.objects.get(kind="dislike")
    assert (event.item_id, event.shelf, event.position) == (first, "for-you", 1)
    assert first in picked(undo(browser, answer)) and not Event.objects.filter(kind="dislike").exists()


def test_what_was_disliked_is_on_no_shelf_of_an_items_page_or_the_cart(browser):
    shown = re.findall(r'data-item="([^"]+)"', text(browser.get("/item/book-08/")))
    assert shown
    for item_id in shown[:2]:
        post(browser, "/item/book-08/", dislike=item_id)
    browser.post("/item/book-08/cart/", {"quantity": 1})
    for path in ("/item/book-08/", "/cart/", "/"):
        page = text(browser.get(path))
        assert "data-item" in page and not any(f'data-item="{item_id}"' in page for item_id in shown[:2])


def test_no_more_of_a_category_or_a_creator(browser, shop):
    before = picked(browser.get("/"))
    assert any(item_id.startswith("book") for item_id in before)
    answer = post(browser, never="category:books")
    assert "Nothing from Books will be recommended" in text(answer)
    assert not any(item_id.startswith("book") for item_id in picked(answer))
    assert picked(undo(browser, answer)) == before and wishes(browser).topics == {}
    assert "Nothing by A. Writer" in text(post(browser, never="creator:A. Writer"))
    assert not any(item_id.startswith("book") for item_id in picked(browser.get("/")))


def test_a_removed_reason_is_not_used_any_more(browser):
    answer = post(browser, ignore="book-03")
    assert "Title 004 is no reason for anything any more" in text(answer)
    told = serving.why(me(browser), "book-05")
    assert [share.item_id for share in told.shares] == ["book-04"]
    assert "Title 004" in text(browser.get(PAGE)).partition('id="removed"')[2]
    undo(browser, answer)
    assert {share.item_id for share in serving.why(me(browser), "book-05").shares} == {"book-03", "book-04"}


def test_what_cannot_be_meant_is_said_in_words(guest):
    for fields in ({"never": "category:nothing"}, {"never": "x\0"}, {"ignore": "nothing"}, {"ignore": "a\0"}):
        answer = post(guest, "/cart/", **fields)
        assert answer.status_code == 200 and 'class="note error"' in text(answer)
    for fields in ({"dislike": "nothing"}, {"dislike": "a\0"}):
        assert guest.post(PAGE, fields).status_code == 404
    for fields in ({}, {"bring-back": "nothing"}, {"bring-back": "a\0"}, {"heed": "a\0"}, {"colour": "red"}):
        assert guest.post(PAGE, fields).status_code == 302
    assert wishes(guest) == controls.DEFAULT


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/item/book-05/?at=1", "/item/book-05/?at=1"),
        ("http://testserver/cart/", "/cart/"),
        ("https://elsewhere.example/", PAGE),
        ("//elsewhere.example/", PAGE),
        ("javascript:alert(1)", PAGE),
        ("http://[", PAGE),
        ("/search/?q=" + "x" * 1000, PAGE),
        ("", PAGE),
    ],
)
def test_a_form_leads_back_to_this_shop_only(client, db, asked, led):
    assert client.post(PAGE, {"undo": "latest", "next": asked})["Location"] == led


def test_the_way_back_from_why_is_the_page_it_was_asked_on(guest):
    said = text(guest.get("/why/book-05/", headers={"Referer": "http://testserver/category/books/?page=2"}))
    assert 'name="next" value="/category/books/?page=2"' in said


def test_forms_need_their_token(db):
    assert Client(enforce_csrf_checks=True).post(PAGE, {"private": "on"}).status_code == 403


# The page -----------------------------------------------------------------------------------------------------------


def test_sliders_are_saved_in_one_step(guest):
    page = text(guest.get(PAGE))
    topics = [html.unescape(topic) for topic in re.findall(r'name="topic" value="([^"]+)"', page)]
    assert topics == ["category:books", "category:poetry", "category:records", "creator:A. Writer"]
    answer = post(guest, PAGE, topics="save", topic=topics, weight=["-1", "0", "2", "-2"])
    saved = {"category:books": -0.5, "category:records": 1, "creator:A. Writer": -1}
    assert wishes(guest).topics == saved
    assert re.findall(r'name="weight"[^>]* value="([^"]+)"', text(answer)) == ["-1", "0", "2", "-2"]
    assert re.findall(r"stands[^>]*>([^<]+)<", text(answer)) == ["Less", "As usual", "Much more", "Never"]
    undo(guest, answer)
    assert wishes(guest).topics == {}


def test_a_slider_that_was_not_moved_leaves_what_an_api_client_set(guest):
    controls.set_topic(people.ensure(me(guest)), "category:books", 0.3)
    answer = post(guest, PAGE, topics="save", topic=["category:books"], weight=["1"])
    assert wishes(guest).topics == {"category:books": 0.3} and "Nothing was changed" in text(answer)
    post(guest, PAGE, topics="save", topic=["category:books", "x"], weight=["9", "1"])
    assert wishes(guest).topics == {"category:books": 0.3}


def test_reset_starts_from_nothing_and_can_be_undone(browser):
    before = picked(browser.get("/"))
    answer = post(browser, reset="taste")
    assert before and not picked(answer) and "start from nothing" in text(answer)
    assert picked(undo(browser, answer)) == before


def test_disliked_and_removed_things_are_listed_and_brought_back(guest):
    post(guest, dislike="book-05")
    post(guest, ignore="book-03")
    page = text(guest.get(PAGE))
    assert 'name="bring-back" value="book-05"' in page and 'name="heed" value="book-03"' in page
    post(guest, **{"bring-back": "book-05"})
    post(guest, heed="book-03")
    page = text(guest.get(PAGE))
    assert 'name="bring-back"' not in page and 'name="heed"' not in page


def test_without_personalisation_the_front_page_is_a_strangers_and_a_note_says_so(browser):
    stranger = Client()
    assert picked(browser.get("/"))
    answer = post(browser, personalised="off")
    shown = re.findall(r'data-item="([^"]+)"', text(answer))
    assert shown == re.findall(r'data-item="([^"]+)"', text(stranger.get("/")))
    for path in ("/", "/item/book-05/", "/cart/", PAGE):
        assert "Personal recommendations are off" in text(browser.get(path)).partition("<main")[0]
    why = text(browser.get(whys(answer)[0]))
    assert "for everybody alike" in why and "<button" not in why.partition("<main")[2].partition("</main>")[0]
    assert "Personal recommendations are off" not in text(post(browser, personalised="on")).partition("<main")[0]


def test_in_private_mode_pages_record_nothing_and_a_note_says_so(guest):
    post(guest, private="on")
    count = Event.objects.count()
    assert "Private mode is on" in text(guest.get("/item/book-07/")).partition("<main")[0]
    said = guest.post("/item/book-07/opinion/", {"kind": "like"}, follow=True)
    assert "this was not noted" in text(said)
    assert "this was not noted" in text(post(guest, dislike="book-07"))
    guest.post("/item/book-07/cart/", {"quantity": 1})
    guest.post("/beacon/", {"cards": '[{"item": "book-09"}]'})
    assert Event.objects.count() == count
    assert "not kept until you turn it off" in text(guest.get("/taste/"))
    picks = guest.post("/taste/", {"item": ["book-01", "book-02", "book-06"]}, follow=True)
    assert "your picks were not kept" in text(picks) and Event.objects.count() == count
    assert 'name="dislike"' not in text(guest.get("/why/book-05/"))
    post(guest, private="off")
    guest.get("/item/book-08/")
    assert Event.objects.count() == count + 1


def test_this_visit_is_forgotten(guest):
    page = text(guest.get(PAGE))
    assert "2 things you did since are recorded" in page
    answer = post(guest, PAGE, forget="visit")
    assert "This visit is forgotten: 2 records deleted" in text(answer)
    assert not Event.objects.filter(visitor_id=me(guest)).exists()
    assert "Nothing of this visit was recorded" in text(post(guest, PAGE, forget="visit"))


def test_the_page_is_there_for_newcomers_accounts_and_an_empty_shop(client, django_user_model):
    assert client.get(PAGE).status_code == 200
    client.force_login(django_user_model.objects.create_user("someone"))
    assert client.get(PAGE).status_code == 200


def test_a_guests_wishes_come_along_on_logging_in(guest, django_user_model):
    post(guest, never="category:records")
    user = django_user_model.objects.create_user("ada", password="folio-reader-1")
    guest.post(reverse("storefront:login"), {"username": "ada", "password": "folio-reader-1"})
    assert controls.read(people.visitor_id_for_account(user)).topics == {"category:records": -1}


def test_the_page_is_linked(guest, shop):
    for path in ("/", "/account/", "/taste/"):
        assert f'href="{PAGE}"' in text(guest.get(path)).partition("<main")[2]


def test_what_was_decided_costs_a_page_one_query_and_a_newcomer_none(client, shop):
    def asked(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(path)
        return sum("recommender_control" in query["sql"] and "SELECT" in query["sql"] for query in queries)

    assert asked("/") == 0
    events.record(people.ensure(me(client)), shop["books"][0], "view")
    assert asked("/") == 1 and asked("/categories/") == 1
