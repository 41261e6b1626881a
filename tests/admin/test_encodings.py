"""Encodings in the console: what is encoded, asked for, watched, cancelled and refused; and who may."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recommender import tasks
from recommender.models import Category, Encoding, Item, ItemVector
from recommender.services import run_monitor
from recommender.services.content import encoding, encoding_work, fine_tuning

pytestmark = [pytest.mark.django_db, pytest.mark.database]

LIST = "/admin/recommender/encoding/"
REFUSED = "/admin/recommender/encoding/refused/"
ENCODE = "/admin/recommender/encoding/encode/"


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The encodings that a worker was called for; the broker took every call."""
    calls: list[int] = []
    monkeypatch.setattr(tasks, "wake_encoding", lambda encoding_id: calls.append(encoding_id) or True)
    return calls


@pytest.fixture
def encoded(shop: list[Item], monkeypatch: pytest.MonkeyPatch) -> Encoding:
    """A real encoding of the small shop, in which one item was refused."""
    monkeypatch.setattr(run_monitor.RunMonitor, "_beat", lambda monitor: None)
    row = encoding.run(encoding.request(requested_by="ada").pk)
    assert row is not None
    ItemVector.objects.filter(item_id="item-0").update(error="The file is empty.", vector=None)
    row.counts["text"]["refused"] = 1
    row.refused = [{"item": "item-0", "modality": "text", "error": "The file is empty."}]
    row.save()
    return row


@pytest.fixture
def running(db: None) -> Encoding:
    now = timezone.now()
    return Encoding.objects.create(
        status="running", started_at=now - timedelta(seconds=40), heartbeat_at=now, enqueued_at=now, worker="w",
        tries=1, stage="image", share_done=0.5, message="500 of 1,000 items, 12 a second",
        stages=[{"stage": "look", "seconds": 0.5, "peak_mb": 200}], counts={"text": {"items": 1000, "encoded": 1000}},
    )  # fmt: skip


def page(row: Encoding, name: str = "change") -> str:
    return reverse(f"admin:recommender_encoding_{name}", args=[row.pk])


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


@pytest.mark.django_db(transaction=True)
def test_the_button_queues_one_and_wakes_a_worker(console: Client, woken: list[int]) -> None:
    answer = console.post(ENCODE, follow=True)
    row = Encoding.objects.get()
    assert (row.status, row.requested_by, row.everything) == ("queued", "ada", False) and woken == [row.pk]
    assert answer.redirect_chain[-1][0] == page(row) and said(answer) == [f"Encoding {row.pk} is queued."]


@pytest.mark.django_db(transaction=True)
def test_everything_again_asks_first(console: Client, woken: list[int]) -> None:
    asked = console.get(f"{ENCODE}?everything=1").content.decode()
    assert "Encode everything again?" in asked and 'name="everything" value="1"' in asked
    assert not Encoding.objects.exists()
    console.post(ENCODE, {"everything": "1"})
    assert Encoding.objects.get().everything


@pytest.mark.django_db(transaction=True)
def test_without_a_broker_it_waits(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wake_encoding", lambda encoding_id: False)
    answer = console.post(ENCODE, follow=True)
    assert "does not answer" in said(answer)[0]
    assert "It waits until the broker answers." in answer.content.decode()


def test_a_second_click_names_the_one_at_work(console: Client, woken: list[int], running: Encoding) -> None:
    answer = console.post(ENCODE, follow=True)
    assert Encoding.objects.count() == 1 and woken == []
    assert f'<a href="{page(running)}">' in said(answer)[0]


def test_progress_is_told_live(console: Client, running: Encoding) -> None:
    html = console.get(page(running)).content.decode()
    assert "progress.js" in html and page(running, "progress") in html and page(running, "cancel") in html
    told = console.get(page(running, "progress")).json()
    assert (told["run"], told["kind"], told["active"], told["percent"]) == (running.pk, "encoding", True, 50)
    assert told["message"] == "500 of 1,000 items, 12 a second" and told["time_left"] == "about 40 s left"
    assert [stage["name"] for stage in told["stages"]] == list(encoding_work.STAGES)
    assert [stage["state"] for stage in told["stages"]][:1] == ["done"]


def test_one_that_waits_long_asks_for_an_encoding_worker(console: Client) -> None:
    row = Encoding.objects.create(enqueued_at=timezone.now())
    Encoding.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    assert "Is an encoding worker running?" in console.get(page(row, "progress")).json()["note"]


def test_cancel(console: Client) -> None:
    row = encoding.request()
    assert "What it has encoded stays" in console.get(page(row, "cancel")).content.decode()
    answer = console.post(page(row, "cancel"), follow=True)
    assert Encoding.objects.get().status == "cancelled" and "is cancelled" in said(answer)[0]
    Encoding.objects.update(status="succeeded")
    assert "had already ended" in said(console.post(page(row, "cancel"), follow=True))[0]


def test_the_list_says_what_is_encoded(console: Client, encoded: Encoding) -> None:
    html = console.get(LIST).content.decode()
    assert "hashing" in html and "Pictures" in html and ">off<" in html
    assert f"{REFUSED}?modality=text" in html
    assert "Words: 6 encoded, 1 refused" in html


def test_the_page_of_all_that_is_refused(console: Client, encoded: Encoding) -> None:
    for asked in ("", "?modality=text", "?modality=nonsense&page=99"):
        html = console.get(REFUSED + asked).content.decode()
        assert "The file is empty." in html and "1–1 of 1" in html
        assert reverse("admin:recommender_item_change", args=["item-0"]) in html
        assert reverse("admin:recommender_item_change", args=["item-1"]) not in html
    assert "None: whatever" in console.get(f"{REFUSED}?modality=image").content.decode()


def test_an_item_can_be_deleted_with_its_vectors(console: Client, encoded: Encoding) -> None:
    console.post(reverse("admin:recommender_item_delete", args=["item-5"]), {"post": "yes"})
    assert not ItemVector.objects.filter(item_id="item-5").exists() and not Item.objects.filter(pk="item-5").exists()


def test_the_page_of_one_that_ended(console: Client, encoded: Encoding) -> None:
    html = console.get(page(encoded)).content.decode()
    assert "progress.js" not in html and "The file is empty." in html
    assert reverse("admin:recommender_item_change", args=["item-0"]) in html
    assert encoded.artifact in html and encoded.encoders["text"]["encoder"] in html
    assert "Could not be encoded" in html and "Words count 100 %" in html
    assert console.get(page(encoded, "history")).status_code == 200


def test_a_page_for_every_status(console: Client, encoded: Encoding) -> None:
    for status in Encoding.Status.values:
        Encoding.objects.update(status=status, error="It broke." if status == "failed" else "")
        html = console.get(page(encoded)).content.decode()
        assert ("It broke." in html) == (status == "failed")


def test_nothing_encoded_yet(console: Client) -> None:
    assert "nothing encoded yet" in console.get(LIST).content.decode()
    assert "Nothing is encoded yet" in console.get("/admin/").content.decode()
    assert "There is no encoding 77" in said(console.get(f"{LIST}77/change/", follow=True))[0]


def test_the_dashboard_says_it_in_a_line(console: Client, encoded: Encoding) -> None:
    html = console.get("/admin/").content.decode()
    assert "What items say" in html and "1 refused" in html


def test_the_dashboard_shows_one_at_work(console: Client, running: Encoding) -> None:
    html = console.get("/admin/").content.decode()
    assert page(running, "progress") in html and "progress.js" in html


def test_fine_tuning_asks_first_and_tells_what_it_gained(
    console: Client, woken: list[int], encoded: Encoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Fine-tune" not in console.get(LIST).content.decode()
    assert "cannot be fine-tuned" in said(console.post(ENCODE, {"tune": "text"}, follow=True))[0]
    monkeypatch.setitem(fine_tuning.TUNERS, "text", ("hashing",))
    assert f"{ENCODE}?tune=text" in console.get(LIST).content.decode()
    assert 'name="tune" value="text"' in console.get(f"{ENCODE}?tune=text").content.decode()
    console.post(ENCODE, {"tune": "text"})
    row = Encoding.objects.latest("id")
    assert (row.tune, row.reason) == ("text", "fine-tuning: text")
    gain = {"modality": "text", "before": 0.1234, "after": 0.2345, "recall_before": 0.1, "recall_after": 0.2}
    row.report = {"tuned": {**gain, "share": 0.5, "epochs": 3, "pairs": 1200, "held": 100, "candidates": 900}}
    row.save()
    html = console.get(page(row)).content.decode()
    assert "What fine-tuning gained" in html and "0.1234" in html and "0.2345" in html and "50 % is kept" in html


def test_permissions(staff: Callable[..., Client], running: Encoding, woken: list[int]) -> None:
    client = staff("view_encoding")
    html = client.get(LIST).content.decode() + client.get(page(running)).content.decode()
    assert "Encode what changed" not in html and "Cancel…" not in html
    assert client.get(page(running, "progress")).status_code == 200
    assert client.post(ENCODE).status_code == client.post(page(running, "cancel")).status_code == 403


def test_strangers(staff: Callable[..., Client], client: Client, running: Encoding) -> None:
    for address in (LIST, ENCODE, REFUSED, page(running), page(running, "progress"), page(running, "cancel")):
        assert client.get(address).url.startswith("/admin/login/")  # type: ignore[attr-defined]
    assert staff("view_run").get(page(running, "progress")).status_code == 403


def test_another_name_of_a_category_is_something_else_that_its_items_say(console: Client, encoded: Encoding) -> None:
    Encoding.objects.update(finished_at=timezone.now() - timedelta(hours=1))
    assert not encoding.due()
    category = Category.objects.get(pk="books")
    form = {"name": "Fine books", "position": 0, "parent": ""}
    console.post(reverse("admin:recommender_category_change", args=[category.pk]), form)
    assert encoding.due()
