"""The assistant's page, without and with a script."""

import json

import pytest

from recommender.models import Event

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_the_page_offers_examples_and_answers_without_a_script(client, shop):
    assert b"in your own words" in client.get("/assistant/").content
    page = client.get("/assistant/", {"q": "title 003"}).content.decode()
    assert "Title 003" in page
    assert 'data-shelf="assistant"' in page
    state = page.split('name="state" value="')[1].split('"')[0]
    again = client.get("/assistant/", {"q": "only poetry", "state": state})
    assert again.status_code == 200
    assert "in Poetry" in again.content.decode()


def test_the_answer_is_streamed_as_lines(client, shop):
    response = client.post("/assistant/answer/", {"q": "title 003"})
    lines = [json.loads(line) for line in b"".join(response.streaming_content).decode().splitlines()]
    assert "".join(line.get("text", "") for line in lines[:-1]) == lines[-1]["text"]
    assert "Title 003" in lines[-1]["html"]
    assert lines[-1]["state"]


def test_asking_leaves_no_trace(client, shop):
    client.get("/assistant/", {"q": "title 003"})
    assert not Event.objects.exists()


@pytest.mark.parametrize("message", ["", " ", "\x00"])
def test_an_empty_question_is_refused_in_words(client, message):
    response = client.post("/assistant/answer/", {"q": message})
    assert response.status_code == 422
    assert "looking for" in response.json()["error"]


def test_what_was_asked_is_escaped(client, shop):
    page = client.get("/assistant/", {"q": "<script>alert(1)</script>"}).content.decode()
    assert "<script>alert(1)" not in page
