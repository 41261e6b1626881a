"""Limits: what is flagged, held and refused; which address to believe; and what happens where the cache fails."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from recommender.conf import LIMITS, conf
from recommender.engine.errors import InvalidConfig
from recommender.models import Event, Item
from recommender.services import events
from recommender.services.errors import TooMany
from recommender.services.screening import clients, log_ins, velocity
from recommender.services.screening.counters import Window

ADDRESS = "198.51.100.7"
PUBLIC = {"REMOTE_ADDR": "8.8.4.4"}


def test_limits_act_at_the_number_that_they_say(guard: Any, clock: Any) -> None:
    guard(limits={"visitor_events": {"soft": 3, "hard": 5}})
    told = [velocity.act("anna", "") for _ in range(5)]
    assert told == ["", "", "", "visitor_events", "visitor_events"]
    with pytest.raises(TooMany, match="Try again in") as refused:
        velocity.act("anna", "")
    assert refused.value.retry_after_s >= 60
    assert velocity.act("ben", "") == ""  # and nobody else


def test_windows_slide(guard: Any, clock: Any) -> None:
    guard(limits={"visitor_events": {"soft": 10, "hard": None}})
    for _ in range(10):
        assert velocity.act("anna", "") == ""
    clock(61)  # all but one sixtieth of the last window still counts
    assert velocity.act("anna", "") == "visitor_events"
    clock(90)
    assert velocity.act("anna", "") == ""
    clock(180)
    assert velocity.act("anna", "") == ""


def test_whoever_waits_as_told_is_let_in_again(guard: Any, clock: Any) -> None:
    guard(limits={"visitor_events": {"soft": None, "hard": 5}})
    for start in (0, 17, 55):
        cache.clear()
        clock(start)
        for _ in range(5):
            velocity.act("anna", "")
        with pytest.raises(TooMany) as refused:
            velocity.act("anna", "")
        clock(start + refused.value.retry_after_s + 11)  # one more was counted than is allowed, and one comes now
        velocity.act("anna", "")


@pytest.mark.parametrize(
    ("window", "limit"), [(Window(9, 0, 0.5, 60), 5), (Window(2, 90, 0.25, 60), 10), (Window(10, 40, 0.9, 3600), 10)]
)
def test_the_wait_ends_where_the_limit_holds_again(window: Window, limit: int) -> None:
    wait = window.wait_s(limit)

    def later(seconds: float) -> float:
        share = window.elapsed + seconds / window.seconds
        if share < 1:
            return Window(window.now, window.before, share, window.seconds).sliding
        return Window(0, window.now, min(share - 1, 1), window.seconds).sliding

    assert later(wait + 1) <= limit < later(max(wait - 2, 0)) + 1


def test_a_clock_that_goes_back_harms_nobody(guard: Any, clock: Any) -> None:
    guard(limits={"visitor_events": {"soft": 3, "hard": None}})
    clock(3600)
    for _ in range(3):
        velocity.act("anna", "")
    clock(0)
    assert velocity.act("anna", "") == ""
    clock(3600)
    assert velocity.act("anna", "") == "visitor_events"


def test_different_items_are_counted_not_looks(guard: Any) -> None:
    guard(limits={"visitor_items": {"soft": 3}, "visitor_events": None})
    for item in "aabbcca":
        assert velocity.look("anna", "", item) == ""
    assert velocity.look("anna", "", "d") == "visitor_items"


def test_a_rule_for_each_who(guard: Any) -> None:
    names = ["client_reviews", "item_reviews", "client_orders", "address_orders", "card_orders"]
    guard(limits={name: {"soft": 1} for name in names})
    assert velocity.review("a", ADDRESS, "i1") == ""
    assert velocity.review("b", ADDRESS, "i2") == "client_reviews"
    assert velocity.review("c", "", "i2") == "item_reviews"
    assert velocity.review("b", "", "i2") == "item_reviews"
    assert velocity.order("a", ADDRESS, "1 High Street\nTown", "card-1") == ""
    assert velocity.order("b", ADDRESS, "elsewhere") == "client_orders"
    assert velocity.order("c", "", " 1  HIGH street town") == "address_orders"
    assert velocity.order("d", "", "third", "card-1") == "card_orders"


def test_the_own_review_may_be_changed_often_enough(guard: Any) -> None:
    guard(limits={"item_reviews": {"soft": 1}})
    assert [velocity.review("anna", "", "i") for _ in range(5)] == [""] * 5


def test_no_honest_shopper_meets_a_limit() -> None:
    """The busiest of the demo's and of Online Retail's, see docs/guarding.md, with room to spare."""
    honest = {"visitor_events": 11, "visitor_items": 18, "visitor_carts": 9, "visitor_reviews": 2, "visitor_orders": 9}
    for name, most in honest.items():
        assert (LIMITS[name].soft or 0) > 1.3 * most


def test_guard_off_counts_nothing(guard: Any) -> None:
    guard(on=False, limits={"visitor_events": {"soft": 1, "hard": 1}})
    assert [velocity.act("anna", ADDRESS) for _ in range(5)] == [""] * 5
    assert log_ins.start("anna", {}, {}).counts == []


# Which address


@pytest.mark.parametrize(
    ("settings_", "meta", "found"),
    [
        ({}, {"REMOTE_ADDR": "8.8.4.4"}, "8.8.4.4"),
        ({}, {"REMOTE_ADDR": "8.8.4.4", "HTTP_X_FORWARDED_FOR": "1.1.1.1"}, "8.8.4.4"),  # forged
        ({}, {"REMOTE_ADDR": "10.0.0.3"}, ""),  # a proxy's, shared by all
        ({}, {"REMOTE_ADDR": "127.0.0.1"}, ""),
        ({}, {}, ""),
        ({}, {"REMOTE_ADDR": ""}, ""),
        ({}, {"REMOTE_ADDR": "unix:"}, ""),
        ({}, {"REMOTE_ADDR": "8.8.4.4:5123"}, "8.8.4.4"),
        ({}, {"REMOTE_ADDR": "[2606:4700::1111]:443"}, "2606:4700::1111"),
        ({}, {"REMOTE_ADDR": "::ffff:8.8.4.4"}, "8.8.4.4"),
        ({}, {"REMOTE_ADDR": "fe80::1%eth0"}, ""),
        ({"client_header": "REMOTE_ADDR"}, {"REMOTE_ADDR": "10.0.0.3"}, "10.0.0.3"),
        ({"client_header": "X-Forwarded-For"}, {"REMOTE_ADDR": "8.8.4.4"}, ""),
        ({"client_header": "X-Forwarded-For"}, {"HTTP_X_FORWARDED_FOR": "6.6.6.6, 8.8.4.4"}, "8.8.4.4"),
        ({"client_header": "X-Forwarded-For", "proxies": 2}, {"HTTP_X_FORWARDED_FOR": "6.6.6.6, 8.8.4.4,10.0.0.3"},
         "8.8.4.4"),
        ({"client_header": "X-Forwarded-For", "proxies": 2}, {"HTTP_X_FORWARDED_FOR": "8.8.4.4"}, ""),
        ({"client_header": "X-Forwarded-For"}, {"HTTP_X_FORWARDED_FOR": "6.6.6.6, \x00é" + "9" * 9000}, ""),
        ({"client_header": "x-real-ip"}, {"HTTP_X_REAL_IP": " 2606:4700::1111 "}, "2606:4700::1111"),
    ],
)  # fmt: skip
def test_which_address_is_believed(guard: Any, settings_: dict[str, Any], meta: dict[str, str], found: str) -> None:
    guard(**settings_)
    assert clients.client(meta) == found


def test_an_ipv6_client_is_its_network(guard: Any) -> None:
    guard(limits={"client_events": {"soft": 2}})
    told = [velocity.act("", f"2606:4700:1:2::{n:x}") for n in range(1, 4)]
    assert told == ["", "", "client_events"]
    assert velocity.act("", "2606:4700:1:3::1") == ""


def test_addresses_are_cut_short_where_asked(guard: Any) -> None:
    assert clients.kept("8.8.4.4") == "8.8.4.4"
    guard(short_addresses=True)
    assert clients.kept("8.8.4.4") == "8.8.4.0/24"
    assert clients.kept("2606:4700:1:2::3") == "2606:4700:1::/48"
    assert clients.kept("") == ""


# Events that an API client tells of


@pytest.mark.django_db
@pytest.mark.database
def test_posted_events_above_the_limit_are_flagged_and_kept(guard: Any) -> None:
    guard(limits={"visitor_events": {"soft": 5}})
    Item.objects.create(id="i", title="I")
    now = timezone.now()

    def rows(start: int, count: int, user: str, kind: str = "view", when: Any = now) -> list[dict[str, Any]]:
        return [
            {"event_id": f"00000000-0000-4000-8000-{start + n:012d}", "kind": kind, "item_id": "i", "user_id": user}
            | {"occurred_at": when.isoformat()}
            for n in range(count)
        ]

    assert events.record_batch(rows(0, 8, "anna")).accepted == 8
    assert events.record_batch(rows(10, 1, "anna")).accepted == 1
    assert events.record_batch(rows(20, 30, "ben", "purchase")).accepted == 30  # the lines of one invoice
    assert events.record_batch(rows(60, 30, "carl", when=now - timedelta(days=3))).accepted == 30  # history
    flagged = Event.objects.exclude(flag="").values_list("visitor_id", "flag")
    assert list(flagged) == [("anna", "visitor_events")] * 4


# Settings


@pytest.mark.parametrize(
    "values",
    [
        {"no_such": 1},
        {"on": "yes"},
        {"limits": {"no_such": {}}},
        {"limits": {"visitor_events": {"soft": -1}}},
        {"limits": {"visitor_events": {"soft": True}}},
        {"limits": {"visitor_events": {"soft": 10**6}}},  # above hard
        {"limits": {"visitor_events": {"seconds": None}}},
        {"limits": {"visitor_events": {"minutes": 1}}},
        {"limits": {"visitor_events": 5}},
        {"limits": []},
        {"client_header": "X Forwarded"},
        {"client_header": None},
        {"proxies": 0},
        {"keep_days": float("inf")},
        {"keep_days": float("nan")},
    ],
)
def test_settings_that_cannot_be_meant(guard: Any, values: dict[str, Any]) -> None:
    guard(**values)
    with pytest.raises(InvalidConfig, match="guard"):
        conf().guarding  # noqa: B018


def test_a_rule_can_be_turned_off(guard: Any) -> None:
    guard(limits={"visitor_events": None})
    assert [velocity.act("anna", "") for _ in range(100)] == [""] * 100
