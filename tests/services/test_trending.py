"""What is taken up lately, written by a worker, read without a database; and what a shop shows without one."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recommender import tasks
from recommender.models import Event, Item, Run, Visitor
from recommender.services import people, trending
from tests.services.conftest import RED, item_ids, picture

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(trending, "LOOK_AGAIN_AFTER_S", 0.0)
    trending.forget()
    yield
    trending.forget()


@pytest.fixture
def now(items: dict[str, Item]) -> Callable[..., None]:
    """now(visitor, item, kind, days) : what a visitor did so many days ago."""

    def now(visitor: str, item_id: str, kind: str = "view", days: float = 0.0, **fields: Any) -> None:
        people.ensure(visitor)
        at = timezone.now() - timedelta(days=days, seconds=1)
        Event.objects.create(visitor_id=visitor, item_id=item_id, kind=kind, occurred_at=at, **fields)

    return now


def guests(count: int) -> list[str]:
    names = [people.new_guest_id() for _ in range(count)]
    Visitor.objects.bulk_create(Visitor(id=name, kind="guest") for name in names)
    return names


def path() -> Path:
    return trending._path()


def test_what_is_taken_up_lately_comes_first(now: Callable[..., None]) -> None:
    a, b, c = guests(3)
    for visitor in (a, b, c):
        now(visitor, "sea-01", days=6)
    now(a, "sea-02")
    now(b, "hill-03", "purchase", days=2)
    now(a, "hill-04", "dislike")
    now(b, "hill-05", flag="speed")
    now(b, "hill-06", days=30)
    now(b, "hill-07", "impression")
    assert trending.refresh()
    found, scores = trending.trending()
    assert found == ["hill-03", "sea-02", "sea-01"]
    assert scores.tolist() == pytest.approx([2.5, 1, 3 / 8], rel=0.01)
    assert trending.trending("sea")[0] == trending.trending("nature")[0] == ["sea-02", "sea-01"]
    assert trending.trending("hill")[0] == ["hill-03"] and trending.trending("unknown")[0] == []


def test_one_shopper_cannot_lift_an_item(now: Callable[..., None]) -> None:
    a, b, c = guests(3)
    for _ in range(50):
        now(a, "sea-01")
    now(b, "sea-02")
    now(c, "sea-02")
    trending.refresh()
    found, scores = trending.trending()
    assert found == ["sea-02", "sea-01"] and scores[1] <= 2.01, "once a day; midnight may lie between"


def test_nothing_is_written_while_nothing_happens(
    now: Callable[..., None], items: dict[str, Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    [a] = guests(1)
    now(a, "sea-01")
    assert trending.refresh() and not trending.refresh() and trending.refresh(force=True)
    now(a, "sea-02")
    assert trending.refresh() and not trending.refresh()
    items["sea-03"].save()
    assert trending.refresh() and not trending.refresh()
    monkeypatch.setattr(trending, "ANEW_AFTER_S", 0.0)
    assert trending.refresh(), "events grow old"


def test_the_task_writes_it(now: Callable[..., None]) -> None:
    now(*guests(1), "sea-01")
    tasks.trends()
    assert trending.trending()[0] == ["sea-01"]


def test_without_events_there_is_what_is_new(items: dict[str, Item]) -> None:
    Item.objects.filter(pk="sea-05").update(added_at=timezone.now() + timedelta(hours=1))
    assert trending.refresh()
    assert trending.trending()[0] == [] and trending.popular()[0] == []
    assert trending.newest()[0] == "sea-05" and len(trending.newest()) == len(items)
    assert trending.on_disk()[0].item_id == "sea-05"


def test_inactive_items_are_on_no_list_and_sold_out_ones_on_no_card(now: Callable[..., None]) -> None:
    a, b = guests(2)
    now(a, "sea-01")
    now(a, "sea-02")
    now(b, "sea-02")
    Item.objects.filter(pk="sea-01").update(active=False)
    Item.objects.filter(pk="sea-02").update(stock=0)
    trending.refresh()
    assert trending.trending()[0] == trending.popular()[0] == ["sea-02"] and "sea-01" not in trending.newest()
    assert not {"sea-01", "sea-02"} & {card.item_id for card in trending.on_disk()}


def test_the_live_model_tells_what_is_popular(live: Run) -> None:
    trending.refresh()
    found, counts = trending.popular()
    assert sorted(found) == sorted(item_ids("sea") + item_ids("hill")) and counts.tolist() == [12] * 20
    assert json.loads(path().read_bytes())["seen"][2] == live.pk


def test_a_damaged_artifact_is_done_without(live: Run, now: Callable[..., None], settings: Any) -> None:
    manifest = Path(settings.RECOMMENDER["artifacts_dir"]) / live.artifact / "manifest.json"
    manifest.write_text("{}")
    now(*guests(1), "sea-07")
    assert trending.refresh() and "sea-07" in trending.popular()[0]


def test_cards_hold_what_a_shop_shows_and_need_no_database(items: dict[str, Item]) -> None:
    Item.objects.filter(pk="sea-01").update(creator="Ada", price=Decimal("12.50"), added_at=timezone.now())
    Item.objects.filter(pk="sea-02").update(price=None)
    shown = picture(items["sea-01"], RED)
    trending.refresh()
    with CaptureQueriesContext(connection) as asked:
        cards = {card.item_id: card for card in trending.on_disk()}
        trending.trending("sea"), trending.popular(), trending.newest()
    assert not asked.captured_queries
    card = cards["sea-01"]
    assert (card.title, card.creator, card.price, card.category) == ("Sea 01", "Ada", Decimal("12.50"), "sea")
    assert card.image == shown.file.name and cards["sea-02"].price is None and cards["sea-02"].image == ""


def test_a_damaged_file_is_no_list_and_is_written_anew(now: Callable[..., None]) -> None:
    now(*guests(1), "sea-01")
    trending.refresh()
    assert trending.trending()[0] == ["sea-01"]
    for text in ("{", "[]", '{"format": 99}', '{"format": 1, "trending": {"": [["a"], []]}}'):
        path().write_text(text)
        assert trending.trending()[0] == ["sea-01"], "what was known before stays"
        trending.forget()
        assert trending.trending()[0] == [] and trending.on_disk() == []
        assert trending.refresh() and trending.trending()[0] == ["sea-01"]
    path().unlink()
    assert trending.trending()[0] == []


def test_the_file_is_looked_at_now_and_then(now: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    [a] = guests(1)
    monkeypatch.setattr(trending, "LOOK_AGAIN_AFTER_S", 60.0)
    assert trending.trending()[0] == []
    now(a, "sea-01")
    trending.refresh()
    assert trending.trending()[0] == []
    monkeypatch.setattr(trending, "LOOK_AGAIN_AFTER_S", 0.0)
    assert trending.trending()[0] == ["sea-01"]
    before = trending._known.lists
    assert trending.trending()[0] == ["sea-01"] and trending._known.lists is before, "read once"


def test_what_cannot_be_written_leaves_the_old_lists(
    now: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    [a] = guests(1)
    now(a, "sea-01")
    trending.refresh()
    now(a, "sea-02")
    for name, error in (("_trending", DatabaseError("planted")), ("_cards", OSError("planted"))):
        with monkeypatch.context() as broken:

            def fail(*args: Any, error: Exception = error) -> None:
                raise error

            broken.setattr(trending, name, fail)
            assert not trending.refresh()
        assert "cannot be written" in caplog.text and trending.trending()[0] == ["sea-01"]
    assert os.listdir(path().parent) == [trending.FILE], "nothing is left aside"
