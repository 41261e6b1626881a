"""Every page of the console can be opened, with and without data, and the lists stay cheap."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recommender.admin import readonly
from recommender.models import Event, Item, Run, Visitor
from recommender.services import access, publishing

pytestmark = [pytest.mark.django_db, pytest.mark.database]

TABLES = ["apikey", "category", "event", "item", "order", "publication", "review", "run", "visitor"]
READ_ONLY = ["event", "order", "publication", "review", "run", "visitor"]


def page(client: Client, name: str, *args: Any, **query: str) -> str:
    answer = client.get(reverse(f"admin:{name}", args=args), query)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("table", TABLES)
def test_empty_lists(console: Client, table: str) -> None:
    page(console, f"recommender_{table}_changelist")


@pytest.mark.parametrize("table", TABLES)
def test_lists_with_data(console: Client, shop: list[Item], finished: Callable[..., Run], table: str) -> None:
    publishing.publish(finished().pk, "First.")
    access.create("Phone", ["read"])
    html = page(console, f"recommender_{table}_changelist")
    assert "Times are in UTC." in html


@pytest.mark.parametrize("table", READ_ONLY)
def test_read_only_tables_have_no_forms(console: Client, shop: list[Item], table: str) -> None:
    assert console.get(reverse(f"admin:recommender_{table}_add")).status_code == 403


def test_pages_of_rows(console: Client, shop: list[Item]) -> None:
    event, key = Event.objects.first(), access.create("Phone", ["read"])[0]
    assert event is not None
    for table, pk in [
        ("event", event.pk),
        ("item", "item-0"),
        ("category", "books"),
        ("order", "order-1"),
        ("review", shop[0].reviews.get().pk),
        ("apikey", key.pk),
    ]:
        page(console, f"recommender_{table}_change", pk)


def test_names_and_links(console: Client, settings: Any) -> None:
    settings.RECOMMENDER = {**settings.RECOMMENDER, "shop_name": "Corner"}
    html = page(console, "index")
    assert "Corner console" in html
    assert ">View site</a>" in html


def test_event_list_is_cheap(
    console: Client, shop: list[Item], monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    now = timezone.now()
    Event.objects.bulk_create(
        Event(event_id=uuid.uuid4(), visitor_id="reader", item=shop[k % 6], kind="view", occurred_at=now)
        for k in range(120)
    )
    monkeypatch.setattr(readonly, "MOST_COUNTED", 100)
    with django_assert_max_num_queries(6) as queries:
        html = page(console, "recommender_event_changelist")
    assert "Only the first 100 are counted" in html
    counts = [query["sql"] for query in queries.captured_queries if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 100" in sql for sql in counts)


def test_item_list_is_cheap(console: Client, shop: list[Item], django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(10):
        page(console, "recommender_item_changelist")


def test_run_list_is_cheap(console: Client, finished: Callable[..., Run], django_assert_max_num_queries: Any) -> None:
    for _ in range(5):
        finished()
    with django_assert_max_num_queries(8):
        page(console, "recommender_run_changelist")


def test_events_are_found_by_exact_ids(console: Client, shop: list[Item]) -> None:
    Visitor.objects.create(id="reader-2", kind="external")
    Event.objects.create(visitor_id="reader-2", item=shop[5], kind="like")
    assert "5 events" not in page(console, "recommender_event_changelist", q="reader")
    assert "1 event" in page(console, "recommender_event_changelist", q="item-5")


def test_dashboard_without_a_model(console: Client, shop: list[Item]) -> None:
    html = page(console, "index")
    assert "No model is live: shoppers see popular items." in html
    assert "Train now" in html
    assert "Bar chart of events per day: 4 in 14 days" in html


def test_dashboard_of_an_empty_shop(console: Client) -> None:
    assert "None yet. Events come from" in page(console, "index")


def test_dashboard_with_a_live_and_an_active_run(console: Client, finished: Callable[..., Run], running: Run) -> None:
    live = finished()
    publishing.publish(live.pk, "Looks right.")
    html = page(console, "index")
    assert "Looks right." in html
    assert "No model is live" not in html
    assert reverse("admin:recommender_run_progress", args=[running.pk]) in html
    assert "Train now" not in html  # one at a time


def test_dashboard_says_when_the_live_artifact_cannot_be_opened(
    console: Client, finished: Callable[..., Run], settings: Any
) -> None:
    live = finished()
    publishing.publish(live.pk, "Looks right.")
    (settings.RECOMMENDER["artifacts_dir"] / live.artifact / "manifest.json").unlink()
    assert "its artifact cannot be opened here" in page(console, "index")


def test_dashboard_is_for_those_who_may_see_runs(staff: Callable[..., Client]) -> None:
    assert "console-dashboard" not in page(staff("view_item"), "index")


def test_visitor_page_shows_history_and_recommendations(console: Client, shop: list[Item]) -> None:
    other = Visitor.objects.create(id="other", kind="external")
    Event.objects.create(visitor=other, item=shop[5], kind="purchase")
    html = page(console, "recommender_visitor_change", "reader")
    assert "Served by: <strong>popular</strong> (no model)" in html
    assert "Popular with other shoppers" in html
    assert "Latest events" in html


def test_page_of_a_merged_guest_shows_the_account(console: Client, shop: list[Item]) -> None:
    guest = Visitor.objects.create(id="guest:1", merged_into_id="reader")
    assert "This guest became reader" in page(console, "recommender_visitor_change", quote(guest.pk))


def test_events_per_day_counts_days_of_the_site(console: Client, shop: list[Item], settings: Any) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    with timezone.override("Pacific/Auckland"):
        from recommender.services.console import events_per_day

        noon = timezone.localtime(timezone.now()).replace(hour=12, minute=0, second=0, microsecond=0)
        Event.objects.all().delete()
        for hours in (11, 13):  # one this morning, one last night
            Event.objects.create(
                visitor_id="reader", item=shop[0], kind="view", occurred_at=noon - timedelta(hours=hours)
            )
        days = events_per_day(noon)
    assert [day.events for day in days[-2:]] == [1, 1]
    assert days[-1].day == noon.date()
