"""What goes wrong around the site: each door still gives an answer that says what to do."""

import logging

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client

from recommender.services import catalogue, serving

pytestmark = [pytest.mark.django_db]


@pytest.fixture
def browser() -> Client:
    return Client(raise_request_exception=False)


def failing(error: Exception):
    def fail(*args, **kwargs):
        raise error

    return fail


@pytest.mark.parametrize("error", [OperationalError("database is locked"), InterfaceError("connection is closed")])
@pytest.mark.parametrize("path", ["/", "/categories/"])
def test_a_database_that_does_not_answer_is_a_page_to_be_asked_again(browser, monkeypatch, caplog, path, error):
    asked = {"/": (serving, "live"), "/categories/": (catalogue, "departments")}
    monkeypatch.setattr(*asked[path], failing(error))
    answer = browser.get(path)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "Try again" in answer.content.decode()
    assert str(error) in caplog.text
    assert str(error) not in answer.content.decode()
    assert not [record for record in caplog.records if record.exc_info]


def test_a_fault_of_ours_is_a_500_with_its_trace_in_the_log_only(browser, monkeypatch, caplog):
    monkeypatch.setattr(catalogue, "departments", failing(RuntimeError("a secret of the house")))
    answer = browser.get("/categories/")
    assert answer.status_code == 500
    assert "secret" not in answer.content.decode()
    assert [record for record in caplog.records if record.exc_info and record.levelno == logging.ERROR]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/categories/", {"Host": "evil.example"}, 400),
        ("/search/?" + "&".join(f"a{n}=1" for n in range(2000)), {}, 400),
        ("/admin/recommender/run/", {"Host": "localhost, evil.example"}, 400),
        ("/nowhere/", {}, 404),
    ],
)
def test_what_a_stranger_sends_is_one_line_of_the_log(browser, caplog, path, headers, status):
    assert browser.get(path, headers=headers).status_code == status
    assert caplog.records
    assert not [record for record in caplog.records if record.exc_info]
