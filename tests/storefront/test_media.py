"""Pictures and sounds: byte ranges, caching, and nothing from outside the folder."""

from pathlib import Path

import pytest
from django.conf import settings

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def body(response):
    return b"".join(response.streaming_content)


@pytest.fixture
def tone(sound):
    return f"/media/{sound}", (Path(settings.MEDIA_ROOT) / sound).read_bytes()


def test_whole_file(client, tone):
    url, data = tone
    page = client.get(url)
    assert (page.status_code, page["Content-Type"], body(page)) == (200, "audio/wav", data)
    assert page["Accept-Ranges"] == "bytes"
    assert page["X-Content-Type-Options"] == "nosniff"
    assert "max-age=" in page["Cache-Control"] and "public" in page["Cache-Control"]
    assert page["Content-Disposition"] == "inline"


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-1", 0, 1),
        ("bytes=10-49", 10, 49),
        ("bytes=100-", 100, 243),
        ("bytes=-20", 224, 243),
        ("bytes=0-9999", 0, 243),
    ],
)
def test_a_part_of_the_file(client, tone, wanted, start, end):
    url, data = tone
    assert len(data) == 244
    page = client.get(url, headers={"Range": wanted})
    assert page.status_code == 206
    assert page["Content-Range"] == f"bytes {start}-{end}/244"
    assert int(page["Content-Length"]) == end - start + 1
    assert body(page) == data[start : end + 1]


def test_a_part_beyond_the_end(client, tone):
    page = client.get(tone[0], headers={"Range": "bytes=500-600"})
    assert page.status_code == 416 and page["Content-Range"] == "bytes */244"


@pytest.mark.parametrize("wanted", ["nonsense", "bytes=", "bytes=a-b", "chars=0-1", "bytes=0-1,5-6"])
def test_a_range_that_makes_no_sense_gives_the_whole_file(client, tone, wanted):
    page = client.get(tone[0], headers={"Range": wanted})
    assert page.status_code == 200 and body(page) == tone[1]


def test_head_and_unchanged(client, tone):
    first = client.head(tone[0])
    assert first.status_code == 200 and first["Content-Length"] == "244"
    assert body(first) == b""
    again = client.get(tone[0], headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304
    assert client.post(tone[0]).status_code == 405


@pytest.mark.parametrize(
    "name",
    [
        "../secret.key",
        "..%2Fsecret.key",
        "%2e%2e/secret.key",
        "a/../../secret.key",
        "/etc/passwd",
        "%00",
        "sounds",
        "sounds/",
        "",
    ],
)
def test_nothing_from_outside_the_folder(client, tone, name):
    (Path(settings.MEDIA_ROOT).parent / "secret.key").write_text("secret")
    assert client.get(f"/media/{name}").status_code == 404


def test_what_could_run_in_the_page_is_only_offered_as_a_download(client, tone):
    for name in ("page.html", "drawing.svg", "script.js", "data"):
        (Path(settings.MEDIA_ROOT) / name).write_text("<script>alert(1)</script>")
        page = client.get(f"/media/{name}")
        assert page["Content-Type"] == "application/octet-stream"
        assert page["Content-Disposition"] == "attachment"
        body(page)


def test_media_ask_the_database_nothing(client, reader, tone, django_assert_num_queries):
    with django_assert_num_queries(0):
        body(reader.get(tone[0]))
