"""Search by photo and by sound, and similar items on an item's page, as pages."""

import json
import re
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from recommender.engine.data import pictures, sounds
from recommender.engine.errors import Unreadable
from recommender.models import Event, Item
from recommender.services import uploads
from recommender.services.errors import Busy
from tests import spaces
from tests.spaces import picture, tone

pytestmark = pytest.mark.django_db
ALONE = {"X-Requested-With": "XMLHttpRequest"}
PAGES = {"photo": "/search/photo/", "sound": "/search/sound/"}


@pytest.fixture
def encoded(shop, monkeypatch):
    """Books are blue and deep, records red and shrill."""
    image = {item.pk: (20, 30 + n, 200) for n, item in enumerate(shop["books"])}
    image |= {item.pk: (200, 30 + n, 20) for n, item in enumerate(shop["records"])}
    audio = {item.pk: (9, n / 20, 0, 0) for n, item in enumerate(shop["books"])}
    audio |= {item.pk: (0, n / 20, 9, 0) for n, item in enumerate(shop["records"])}
    made = spaces.space("image", image, spaces.IMAGE), spaces.space("audio", audio, spaces.AUDIO)
    spaces.install(monkeypatch, *made, spaces.space("fused", image))


@pytest.fixture
def in_process(monkeypatch):
    """Decoded here: what the child is for is tested with it, and takes its time."""
    monkeypatch.setattr(uploads, "_asked", answered)


def answered(kind: str, data: bytes) -> tuple[bytes, int]:
    """What the child would write, and how it would end."""
    try:
        found = pictures.read(data) if kind == "picture" else sounds.read(data, uploads.LONGEST_S)
    except Unreadable as error:
        return json.dumps({"refused": error.detail}).encode() + b"\n", 0
    return json.dumps({"shape": found.shape, "dtype": found.dtype.str}).encode() + b"\n" + found.tobytes(), 0


def send(client, page, data, name="upload", **headers):
    return client.post(PAGES[page], {"file": SimpleUploadedFile(name, data)}, headers=headers)


def cards(response):
    return re.findall(r'data-item="([^"]+)"', response.content.decode())


@pytest.mark.parametrize(("page", "words"), [("photo", "Search by photo"), ("sound", "Search by sound")])
def test_the_form_says_what_is_taken(client, encoded, page, words):
    html = client.get(PAGES[page]).content.decode()
    assert f"<h1>{words}</h1>" in html and "up to 8 MB" in html and "not kept" in html
    assert 'enctype="multipart/form-data"' in html and "csrfmiddlewaretoken" in html
    assert html.index("csrfmiddlewaretoken") < html.index('type="file"')  # read before a file that is too large
    assert client.head(PAGES[page]).status_code == 200 and client.put(PAGES[page]).status_code == 405
    assert not Event.objects.exists()


@pytest.mark.parametrize("page", ["photo", "sound"])
def test_before_anything_is_encoded_the_page_says_so(client, shop, monkeypatch, page):
    spaces.install(monkeypatch)
    response = client.get(PAGES[page])
    html = response.content.decode()
    assert response.status_code == 200 and "being prepared" in html and "data-sense" not in html
    assert cards(response)  # something to go on with
    assert send(client, page, picture() if page == "photo" else tone()).status_code == 409


def test_a_photo_finds_cards_with_their_trail(client, encoded):
    response = send(client, "photo", picture())  # the real child, once
    assert response.status_code == 200
    found = cards(response)
    assert len(found) == 24 and all(item_id.startswith("book") for item_id in found[:20])
    html = response.content.decode()
    assert 'data-shelf="photo" data-at="1"' in html and re.search(r'data-rec="[0-9a-f-]{36}"', html)
    link = re.search(r'href="(/item/[^"]+)"', html)
    client.get(link[1].replace("&amp;", "&"))
    assert Event.objects.get(kind="view").shelf == "photo"


def test_a_recording_finds_what_sounds_like_it(client, encoded):
    response = send(client, "sound", tone(2000))
    assert response.status_code == 200 and all(item_id.startswith("record") for item_id in cards(response)[:20])
    assert 'data-shelf="sound"' in response.content.decode()


def test_the_script_gets_the_results_alone(client, encoded, in_process):
    response = send(client, "photo", picture(), **ALONE)
    html = response.content.decode()
    assert "<html" not in html and "<h2" in html and len(cards(response)) == 24
    refused = send(client, "photo", b"no picture", **ALONE)
    assert refused.status_code == 422 and refused.content.decode().strip().startswith('<p class="note error"')


@pytest.mark.parametrize(
    ("page", "data", "status", "words"),
    [
        ("photo", b"", 422, "Choose a picture first"),
        ("photo", b"text", 422, "not a picture"),
        ("photo", b"<svg/>", 422, "SVG"),
        ("photo", picture(size=(1, 1)), 422, "one colour"),
        ("photo", bytes(uploads.MAX_BYTES["picture"] + 1), 413, "8 MB"),
        ("photo", bytes(uploads.MAX_BYTES["picture"] + 2**20), 413, "8 MB"),
        ("sound", b"text", 422, "no sound"),
        ("sound", tone(0), 422, "silent"),
        ("sound", tone()[:500], 422, "whole"),
    ],
)
def test_what_cannot_be_searched_with_is_said_on_the_page(client, encoded, in_process, page, data, status, words):
    response = send(client, page, data)
    assert (response.status_code, len(cards(response))) == (status, 0)
    alert = re.search(r'role="alert"[^>]*>([^<]+)<', response.content.decode())
    assert words in alert[1] and "data-sense" in response.content.decode()


@pytest.mark.parametrize("body", [{}, {"file": "words"}, {"file": ""}, {"other": "x"}])
def test_a_form_without_a_file(client, encoded, body):
    assert client.post(PAGES["photo"], body).status_code == 422


def test_a_body_that_is_no_form(client, encoded):
    kind = "multipart/form-data; boundary=x"
    assert client.post(PAGES["photo"], b"--x\r\nnonsense", content_type=kind).status_code in (400, 422)
    assert client.post(PAGES["photo"], b"{}", content_type="application/json").status_code == 422
    assert client.post(PAGES["photo"], b"{}", content_type="multipart/form-data").status_code in (400, 422)


def test_busy_is_said_and_when_to_come_again(client, encoded, monkeypatch):
    def full(kind, data):
        raise Busy("Others are searching just now. Try again in a moment.")

    monkeypatch.setattr(uploads, "_decoded", full)
    response = send(client, "photo", picture())
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "Try again in a moment" in response.content.decode()


def test_the_token_is_asked_for(encoded):
    strict = Client(enforce_csrf_checks=True)
    assert send(strict, "photo", picture()).status_code == 403
    page = strict.get(PAGES["photo"]).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    sent = {"csrfmiddlewaretoken": token, "file": SimpleUploadedFile("x", b"no picture")}
    assert strict.post(PAGES["photo"], sent).status_code == 422


def test_nothing_of_an_upload_touches_the_disk(client, encoded, in_process, settings, tmp_path, monkeypatch):
    """Above the size at which Django's own handler would write a temporary file."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))  # writing there would fail
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path / "none")
    media = Path(settings.MEDIA_ROOT)
    before = sorted(media.rglob("*"))
    large = picture(size=(1100, 1100))
    assert len(large) > settings.FILE_UPLOAD_MAX_MEMORY_SIZE
    assert send(client, "photo", large).status_code == 200
    assert sorted(media.rglob("*")) == before and not Event.objects.exists()


def test_the_pages_are_found(client, encoded):
    home = client.get("/").content.decode()
    assert 'href="/search/photo/" aria-label="Search by photo or sound"' in home
    results = client.get("/search/?q=title").content.decode()
    assert 'href="/search/photo/">by photo' in results and 'href="/search/sound/">by sound' in results


# Similar items on an item's page


def shelf(response):
    return next(row for row in response.context["rows"] if row.name.startswith("similar"))


def test_similar_items_can_be_chosen_by_content_or_behaviour(client, live_run, encoded):
    page = client.get("/item/book-05/")
    both = shelf(page)
    assert (both.title, [name for name, _, current in both.choices if current]) == ("Similar items", ["All in all"])
    assert any(card.reason for card in both.cards) or both.note
    for way in ("content", "behaviour"):
        assert f'href="?similar={way}#more" rel="nofollow"' in page.content.decode()
        row = shelf(client.get(f"/item/book-05/?similar={way}"))
        assert row.name == f"similar-{way}" and row.cards
    by_content = shelf(client.get("/item/book-05/?similar=content"))
    assert all(card.item.pk.startswith("book") for card in by_content.cards)
    assert shelf(client.get("/item/book-05/?similar=nonsense")).name == "similar"


def test_an_item_without_events_is_similar_by_content(client, shop, encoded):
    row = shelf(client.get("/item/book-05/"))
    assert not row.choices and all(card.item.pk.startswith("book") for card in row.cards)


def test_choosing_another_way_is_no_second_look(client, live_run, encoded):
    client.get("/item/book-05/")
    client.get("/item/book-05/?similar=content", headers={"Referer": "http://testserver/item/book-05/"})
    assert Event.objects.filter(kind="view", item_id="book-05", visitor__kind="guest").count() == 1


def test_sold_out_items_are_not_similar(client, shop, encoded):
    Item.objects.filter(pk__startswith="book").exclude(pk__in=["book-05", "book-07"]).update(stock=0)
    assert shelf(client.get("/item/book-05/")).cards[0].item.pk == "book-07"
