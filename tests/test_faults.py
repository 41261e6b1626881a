"""What goes wrong around the site: each door still gives an answer that says what to do."""

import json
import logging
import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.db import InterfaceError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpResponse
from django.test import Client

from recommender.conf import conf
from recommender.models import Event, Item, Run, Visitor
from recommender.services import access, catalogue, people, serving, trending
from recommender.services.screening import counters
from recommender.services.serving import truth
from tests.served import redis_process
from tests.services.conftest import finished, items, live, shop, trained  # noqa: F401  a shop with a model

pytestmark = [pytest.mark.django_db]
Ask = Callable[..., HttpResponse]


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


# The same at the API and in the shop, with a model that serves


@pytest.fixture
def ask(live: Run) -> Ask:  # noqa: F811
    """ask(path or rows to post, **parameters) -> the API's answer, with its JSON as `.data`."""
    key = access.create("faults", ["read", "ingest"])[1]
    client = Client(raise_request_exception=False, headers={"X-API-Key": key})

    def ask(asked: str | list[dict[str, Any]], **parameters: Any) -> HttpResponse:
        if isinstance(asked, str):
            answer = client.get(f"/api/v1/{asked}", parameters)
        else:
            answer = client.post("/api/v1/events/batch", {"events": asked}, content_type="application/json")
        answer.data = json.loads(answer.content)
        return answer

    return ask


def view(item_id: str = "sea-03", user_id: str = "ada") -> dict[str, Any]:
    return {"event_id": str(uuid.uuid4()), "kind": "view", "item_id": item_id, "user_id": user_id}


def shown(answer: HttpResponse) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [item["item_id"] for item in answer.data["items"]]


def test_a_visitor_whom_nobody_knows_gets_what_is_popular(ask: Ask, browser: Client) -> None:
    answer = ask("recommendations", user_id="nobody-ever")
    assert len(shown(answer)) == 10
    assert answer.data["tier"] == "popular"
    browser.cookies["visitor"] = f"guest:{'0' * 32}"
    assert browser.get("/").status_code == 200


def test_a_visitor_who_was_deleted_is_a_stranger(ask: Ask, browser: Client) -> None:
    assert ask([view()]).data["accepted"] == 1
    assert ask("recommendations", user_id="ada").data["tier"] == "model"
    Event.objects.filter(visitor_id="ada").delete()
    Visitor.objects.get(pk="ada").delete()
    assert ask("recommendations", user_id="ada").data["tier"] == "popular"
    guest = people.ensure(people.new_guest_id())
    browser.cookies["visitor"] = guest.pk
    guest.delete()
    assert browser.get("/").status_code == 200
    assert browser.get("/item/sea-03/").status_code == 200  # which makes the row again


def test_a_banned_shopper_sees_the_shop_as_a_guest_does(ask: Ask, browser: Client) -> None:
    user = User.objects.create_user("mallory")
    browser.force_login(user)
    assert browser.get("/").context["user"].is_authenticated
    User.objects.filter(pk=user.pk).update(is_active=False)
    answer = browser.get("/")
    assert answer.status_code == 200 and not answer.context["user"].is_authenticated
    assert shown(ask("recommendations", user_id=people.visitor_id_for_account(user)))


def gone(item_id: str) -> None:
    Event.objects.filter(item_id=item_id).delete()
    Item.objects.get(pk=item_id).delete()


def test_an_item_that_was_deleted_a_moment_ago_is_on_no_list(ask: Ask, browser: Client) -> None:
    assert ask([view()]).data["accepted"] == 1
    before = shown(ask("recommendations", user_id="ada"))
    gone(before[0])
    after = shown(ask("recommendations", user_id="ada"))
    assert after and before[0] not in after
    assert browser.get("/").status_code == 200
    assert browser.get(f"/item/{before[0]}/").status_code == 404
    assert ask(f"items/{before[0]}/similar").status_code == 404
    assert ask([view(before[0]), view()]).data["rejected"][0]["index"] == 0


def test_an_item_that_is_deleted_while_the_list_is_made_is_not_on_it(
    ask: Ask, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask([view()]).data["accepted"] == 1
    lost, real = shown(ask("recommendations", user_id="ada"))[0], truth.read

    def read(*args: Any, **kwargs: Any) -> dict[str, Item]:
        if Item.objects.filter(pk=lost).exists():
            gone(lost)
        return real(*args, **kwargs)

    monkeypatch.setattr(truth, "read", read)
    found = shown(ask("recommendations", user_id="ada"))
    assert len(found) >= 8 and lost not in found
    assert not Item.objects.filter(pk=lost).exists()
    assert browser.get("/").status_code == 200


def test_a_filter_that_leaves_nothing_is_an_empty_list(ask: Ask) -> None:
    answer = ask("recommendations", user_id="ada", filter="price < 0.01")
    assert shown(answer) == []
    Item.objects.update(active=False)
    assert shown(ask("recommendations", user_id="ada")) == []


@pytest.mark.parametrize("n", ["0", "-1", "10000", "1e3", ""])
@pytest.mark.parametrize("path", ["recommendations", "popular", "items/sea-03/similar"])
def test_a_number_of_items_that_cannot_be_is_a_problem(ask: Ask, path: str, n: str) -> None:
    answer = ask(path, n=n, **({"user_id": "ada"} if path == "recommendations" else {}))
    assert (answer.status_code, answer.data["type"]) == (422, "/problems/invalid-request")
    assert answer.data["errors"][0]["parameter"] == "n"


def damaged(folder: Path) -> None:
    path = next(folder.glob("learned/*.npy"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [shutil.rmtree, damaged], ids=["missing", "corrupt"])
def test_without_its_artifact_other_tiers_serve_and_say_so(
    ask: Ask, browser: Client, live: Run, harm: Callable[[Path], None]  # noqa: F811
) -> None:  # fmt: skip
    assert ask([view()]).data["accepted"] == 1
    serving.forget()
    harm(conf().artifacts_dir / live.artifact)
    answer = ask("recommendations", user_id="ada")
    assert shown(answer) and answer.data["tier"] not in ("model", "segment")
    assert browser.get("/").status_code == browser.get("/item/sea-03/").status_code == 200
    health = browser.get("/api/v1/health")
    assert (health.status_code, health.json()["status"], health.json()["model"]) == (200, "degraded", False)


@pytest.fixture
def frozen(settings: Any, tmp_path: Path) -> Iterator[Callable[[int], None]]:
    """A Redis that counts; frozen(signal) to stop or freeze it."""
    with redis_process(tmp_path) as (process, url):
        settings.CACHES = {"default": {"BACKEND": "recsite.cache.QuickRedis", "LOCATION": url}}
        caches["default"].set("there", 1)
        counters.forget()
        yield lambda number: os.kill(process.pid, number)
        os.kill(process.pid, signal.SIGCONT)
    counters.forget()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["stopped", "frozen"])
def test_without_redis_everything_answers_in_time(
    ask: Ask, browser: Client, frozen: Callable[[int], None], number: int
) -> None:
    frozen(number)
    began = time.monotonic()
    assert ask([view()]).data["accepted"] == 1
    assert shown(ask("recommendations", user_id="ada"))
    assert browser.get("/").status_code == browser.get("/item/sea-03/").status_code == 200
    assert time.monotonic() - began < 3


# A database that takes nothing, and one that is not there


@pytest.fixture
def read_only(transactional_db: None) -> Iterator[Callable[[], None]]:
    """read_only() -> from now on, whatever writes is refused."""
    sqlite = connection.vendor == "sqlite"
    on, off = (
        ("PRAGMA query_only = 1", "PRAGMA query_only = 0")
        if sqlite
        else ("SET default_transaction_read_only = on", "SET default_transaction_read_only = off")
    )

    def set_to(statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    yield lambda: set_to(on)
    set_to(off)


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_with_a_read_only_database_everything_that_reads_answers(
    read_only: Callable[[], None], ask: Ask, browser: Client
) -> None:
    assert ask([view()]).data["accepted"] == 1
    read_only()
    answer = ask("recommendations", user_id="ada")
    assert shown(answer) and answer.data["tier"] == "model"
    for path in ("/", "/item/sea-03/", "/categories/", "/category/sea/", "/search/?q=sea"):
        assert browser.get(path).status_code == 200, path
    refused = ask([view()])
    assert (refused.status_code, refused.data["type"]) == (503, "/problems/database-unavailable")
    assert refused["Retry-After"] == "5"
    browser.cookies["visitor"] = people.new_guest_id()
    said = browser.post("/item/sea-03/opinion/", {"kind": "like"})
    assert said.status_code == 503 and "Try again" in said.content.decode()
    assert Event.objects.filter(visitor_id="ada").count() == 1


def test_without_a_database_the_list_on_disk_serves(ask: Ask, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trending.refresh(force=True)
    assert ask("recommendations", user_id="ada").status_code == 200  # so that the key is known
    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", failing(OperationalError("it is gone")))
    answer = ask("recommendations", user_id="ada")
    assert len(shown(answer)) == 10
    assert (answer.data["tier"], answer.data["run_id"]) == ("disk", None)
    refused = ask([view()])
    assert (refused.status_code, refused.data["type"]) == (503, "/problems/database-unavailable")
    page = browser.get("/")
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert Client().get("/api/v1/health").status_code == 503


def test_a_key_is_not_believed_without_a_database_unless_it_was_found_before(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trending.refresh(force=True)
    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", failing(OperationalError("it is gone")))
    assert ask("recommendations", user_id="ada").status_code == 503
