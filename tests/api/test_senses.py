"""Search by photo and by sound over the API, and why items are similar."""

import io
import json

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from PIL import Image

from recommender.models import Item, Run
from recommender.services import uploads
from recommender.services.errors import Busy
from tests import spaces
from tests.storefront.test_senses import answered

from .conftest import BASE, Call, conforms, document

pytestmark = pytest.mark.django_db
PHOTO, SOUND = "/search/photo", "/search/sound"


@pytest.fixture
def encoded(shop: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    """Prints are blue and deep, the poster red, the book red and shrill."""
    image = {"print-0042": (2, 3, 20), "print-0043": (2, 9, 20), "poster-1": (20, 3, 2), "book-1": (20, 5, 2)}
    audio = {"print-0042": (9, 1, 0, 0), "book-1": (0, 1, 9, 0)}
    spaces.install(
        monkeypatch, spaces.space("image", image, spaces.IMAGE), spaces.space("audio", audio, spaces.AUDIO),
        spaces.space("fused", image),
    )  # fmt: skip
    monkeypatch.setattr(uploads, "_asked", answered)


def send(path: str, body: bytes, keys: dict[str, str], content_type: str = "application/octet-stream") -> HttpResponse:
    headers = {"X-API-Key": keys["read"]}
    client = Client(enforce_csrf_checks=True)
    response = client.generic("POST", BASE + path, body, content_type=content_type, headers=headers)
    conforms("POST", BASE + path.split("?")[0], response)
    response.data = json.loads(response.content)
    return response


def ids(response: HttpResponse) -> list[str]:
    return [item["item_id"] for item in response.data["items"]]


def form(data: bytes, field: str = "file") -> bytes:
    return encode_multipart(BOUNDARY, {field: SimpleUploadedFile("x", data)})


@pytest.mark.parametrize("content_type", ["image/png", "application/octet-stream", "application/x-www-form-urlencoded"])
def test_a_photo_as_the_body(encoded: None, keys: dict[str, str], content_type: str) -> None:
    found = send(PHOTO + "?n=2", spaces.picture(), keys, content_type)
    assert (found.status_code, ids(found)) == (200, ["print-0042", "print-0043"])
    assert (found.data["tier"], found.data["shelf"], found.data["run_id"]) == ("content", "photo", None)
    assert [item["position"] for item in found.data["items"]] == [1, 2]


def test_a_photo_in_a_form(encoded: None, keys: dict[str, str]) -> None:
    found = send(PHOTO, form(spaces.picture((200, 20, 20))), keys, MULTIPART_CONTENT)
    assert set(ids(found)[:2]) == {"poster-1", "book-1"}


def test_a_part_of_a_photo(encoded: None, keys: dict[str, str]) -> None:
    halves = np.zeros((40, 40, 3), dtype=np.uint8)
    halves[:, :20, 2], halves[:, 20:, 0] = 200, 200
    halves += np.random.default_rng(0).integers(0, 20, halves.shape, dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(halves).save(file, "PNG")
    assert ids(send(PHOTO + "?crop=0,0,0.5,1&n=1", file.getvalue(), keys)) == ["print-0042"]
    assert ids(send(PHOTO + "?crop=0.5,0,1,1&n=1", file.getvalue(), keys)) == ["poster-1"]
    for crop in ("1", "a,b,c,d", "0,0,0,0", "0,0,2,2", "nan,0,1,1", "0.5,0,0.4,1"):
        refused = send(f"{PHOTO}?crop={crop}", file.getvalue(), keys)
        assert (refused.status_code, refused.data["type"]) == (422, "/problems/invalid-input")


def test_a_recording(encoded: None, keys: dict[str, str]) -> None:
    assert ids(send(SOUND, spaces.tone(2000), keys, "audio/wav")) == ["book-1", "print-0042"]
    assert ids(send(SOUND + "?n=1", form(spaces.tone(100)), keys, MULTIPART_CONTENT)) == ["print-0042"]


TOO_LARGE = bytes(uploads.MAX_BYTES["picture"] + uploads.AROUND + 1)


@pytest.mark.parametrize(
    ("path", "body", "content_type", "status", "slug"),
    [
        (PHOTO, b"", "image/png", 422, "unreadable"),
        (PHOTO, b"<svg/>", "image/svg+xml", 422, "unreadable"),
        (PHOTO, spaces.tone(), "image/png", 422, "unreadable"),
        (PHOTO, spaces.picture(size=(1, 1)), "image/png", 422, "unreadable"),
        (PHOTO, TOO_LARGE, "image/png", 413, "upload-too-large"),
        (PHOTO, form(TOO_LARGE), MULTIPART_CONTENT, 413, "upload-too-large"),
        (PHOTO, form(b"x", "picture"), MULTIPART_CONTENT, 422, "unreadable"),
        (PHOTO, b"--x\r\nnonsense", "multipart/form-data; boundary=x", 422, "unreadable"),
        (PHOTO, b"nonsense", "multipart/form-data", 422, "invalid-input"),
        (SOUND, b"", "audio/wav", 422, "unreadable"),
        (SOUND, spaces.tone(0), "audio/wav", 422, "unreadable"),
        (PHOTO + "?n=0", spaces.picture(), "image/png", 422, "invalid-request"),
    ],
)
def test_what_is_refused(encoded, keys, path, body, content_type, status, slug):  # type: ignore[no-untyped-def]
    refused = send(path, body, keys, content_type)
    assert (refused.status_code, refused.data["type"]) == (status, f"/problems/{slug}")


def test_before_anything_is_encoded(shop: list[Item], keys: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    spaces.install(monkeypatch)
    refused = send(SOUND, spaces.tone(), keys)
    assert (refused.status_code, refused.data["type"]) == (409, "/problems/not-prepared")
    assert "being prepared" in refused.data["detail"]


def test_busy(encoded: None, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(kind: str, data: bytes) -> None:
        raise Busy("Others are searching just now. Try again in a moment.")

    monkeypatch.setattr(uploads, "_decoded", full)
    refused = send(PHOTO, spaces.picture(), keys)
    assert (refused.status_code, refused.data["type"], refused["Retry-After"]) == (503, "/problems/busy", "5")


def test_other_routes_keep_their_limit(call: Call, keys: dict[str, str]) -> None:
    response = call("POST", "/events", "{" + " " * 3_000_000 + "}", scope="ingest")
    assert (response.status_code, response.data["type"]) == (413, "/problems/body-too-large")


def test_the_document_shows_the_file() -> None:
    for path in (PHOTO, SOUND):
        body = document()["paths"][BASE + path]["post"]["requestBody"]
        assert "8 MB" in body["description"] and "multipart/form-data" in body["content"]
        assert "image/svg+xml" not in body["content"]


# Similar items


def test_similar_items_say_why(encoded: None, call: Call, learned: Run) -> None:
    found = call("GET", "/items/print-0042/similar?by=both", scope="read").data
    first = found["items"][0]
    assert (first["item_id"], found["tier"], found["run_id"]) == ("print-0043", "similar", learned.pk)
    assert first["reason"].endswith("iked by the same shoppers")
    assert first["why"] | {"image": None} == {
        "shoppers": True, "creator": False, "category": True, "words": [], "text": None, "image": None, "audio": None
    }  # fmt: skip
    assert first["why"]["image"] == pytest.approx(0.963, abs=0.001)


def test_by_content_and_by_behaviour(encoded: None, call: Call, learned: Run) -> None:
    content = call("GET", "/items/poster-1/similar?by=content&n=1", scope="read")
    assert (ids(content), content.data["tier"], content.data["run_id"]) == (["book-1"], "content", None)
    behaviour = call("GET", "/items/poster-1/similar?by=behaviour&n=1", scope="read")
    assert (behaviour.data["tier"], behaviour.data["items"][0]["why"]["shoppers"]) == ("similar", True)
    refused = call("GET", "/items/poster-1/similar?by=magic", scope="read")
    assert (refused.status_code, refused.data["type"]) == (422, "/problems/invalid-request")


def test_popular_items_have_no_why(call: Call, shop: list[Item]) -> None:
    found = call("GET", "/items/print-0042/similar", scope="read").data
    assert found["items"] and {item["why"] for item in found["items"]} == {None}
