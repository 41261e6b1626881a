"""The event table as arrays."""

import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from recommender.engine.errors import NoData
from recommender.models import Event, Item
from recommender.services import event_log, people
from tests.services.conftest import START, purchases

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def happened(*rows: tuple[str, str, str, int], **fields) -> event_log.EventLog:
    """The log of (visitor, item, kind, minutes after START)."""
    for visitor, item, kind, minutes in rows:
        people.ensure(visitor)
        Event.objects.create(
            visitor_id=visitor, item_id=item, kind=kind, occurred_at=START + timedelta(minutes=minutes), **fields
        )
    return event_log.read()


def test_the_log_is_in_order_of_time_whatever_the_order_of_recording(items):
    log = happened(("ada", "sea-01", "view", 5), ("bob", "sea-00", "like", 1), ("ada", "sea-02", "cart", 3))
    assert list(log.item_ids) == ["sea-00", "sea-02", "sea-01"]
    assert list(np.diff(log.times)) == [120, 120]


def test_what_pages_showed_is_not_learned(items):
    log = happened(("ada", "sea-00", "impression", 0), ("ada", "sea-01", "view", 1))
    assert list(log.kinds) == ["view"]


def test_an_empty_table_has_no_data(items):
    with pytest.raises(NoData):
        event_log.read()
    with pytest.raises(NoData):
        happened(("ada", "sea-00", "impression", 0))


def test_quick_repeats_count_once(items):
    rows = [("ada", "sea-00", "view", 0), ("ada", "sea-00", "view", 10), ("ada", "sea-00", "view", 50)]
    others = [("bob", "sea-00", "view", 1), ("ada", "sea-01", "view", 2), ("ada", "sea-00", "like", 3)]
    kept, repeats = event_log.without_repeats(happened(*rows, *others))
    assert repeats == 1 and len(kept) == 5
    assert [int(time) for time in kept.times if time >= START.timestamp() + 10 * 60] == [START.timestamp() + 50 * 60]


def test_every_purchase_counts(items):
    log = happened(("ada", "sea-00", "purchase", 0), ("ada", "sea-00", "purchase", 1))
    assert event_log.without_repeats(log)[1] == 0


def test_the_last_rating_replaces_the_others(items):
    ids = [uuid.uuid4() for _ in range(3)]
    people.ensure("ada")
    for event_id, stars, days in zip(ids, (5, 3, 1), (0, 0, 40), strict=True):
        at = START + timedelta(days=days, minutes=stars)
        Event.objects.create(
            event_id=event_id, visitor_id="ada", item_id="sea-00", kind="rating", value=stars, occurred_at=at
        )
    kept, repeats = event_log.without_repeats(event_log.read())
    assert (list(kept.values), repeats) == ([1.0], 2)


def test_one_event_is_a_log(items):
    log, repeats = event_log.without_repeats(happened(("ada", "sea-00", "view", 0)))
    data = event_log.interactions(log)
    assert (len(log), repeats, data.shape, data.weights.tolist()) == (1, 0, (1, 1), [1.0])


def test_interactions_weigh_kind_and_age(items):
    log = happened(("ada", "sea-00", "purchase", 0), ("ada", "sea-01", "dislike", 60 * 24 * 180))
    data = event_log.interactions(log)
    assert data.items.all == ["sea-00", "sea-01"]
    assert data.weights.tolist() == [pytest.approx(2.5), pytest.approx(-5.0)]


def test_purchases_are_the_baskets(shop):
    log = event_log.read()
    baskets = event_log.purchases(log, event_log.interactions(log))
    assert len(baskets) == len(list(purchases())) and len(np.unique(baskets.baskets)) == 60


def test_two_visitors_with_the_same_session_name_have_two_baskets(items):
    rows = [("ada", "sea-00", "purchase", 0), ("bob", "sea-01", "purchase", 1), ("bob", "sea-02", "purchase", 2)]
    log = happened(*rows, session="checkout")
    data = event_log.interactions(log)
    assert len(np.unique(event_log.purchases(log, data).baskets)) == 2
    assert len(np.unique(data.baskets)) == 2


def test_a_purchase_without_a_session_is_no_basket(items):
    log = happened(("ada", "sea-00", "purchase", 0))
    assert len(event_log.purchases(log, event_log.interactions(log))) == 0


def test_moments_of_one_second_keep_their_order_and_seconds_are_not_rounded(items):
    """Recorded late first, and at every kind of fraction that a database writes."""
    people.ensure("ada")
    for item, microseconds in (("sea-02", 999_999), ("sea-01", 500), ("sea-00", 0)):
        at = START + timedelta(microseconds=microseconds)
        Event.objects.create(visitor_id="ada", item_id=item, kind="view", occurred_at=at)
    log = event_log.read()
    assert list(log.item_ids) == ["sea-00", "sea-01", "sea-02"]
    assert log.times.tolist() == [int(START.timestamp())] * 3


def test_events_of_one_moment_stay_in_the_order_of_recording(items):
    log = happened(("ada", "sea-02", "view", 0), ("ada", "sea-00", "view", 0), ("bob", "sea-01", "view", 0))
    assert list(log.item_ids) == ["sea-02", "sea-00", "sea-01"]


def test_many_rows_are_read_in_parts(items, monkeypatch):
    monkeypatch.setattr(event_log, "CHUNK", 2)
    log = happened(*((f"v{n % 3}", f"sea-0{n % 2}", "view", n) for n in range(5)), value=2.0)
    assert list(log.visitor_ids) == ["v0", "v1", "v2", "v0", "v1"]
    assert log.values.tolist() == [2.0] * 5 and log.times.dtype == np.int64
    assert log.visitor_ids[0] is log.visitor_ids[3]  # one string for equal ones


def test_times_before_1970_are_read(items):
    people.ensure("ada")
    at = datetime(1969, 12, 31, 23, 59, 58, 250_000, tzinfo=UTC)
    Event.objects.create(visitor_id="ada", item_id="sea-00", kind="view", occurred_at=at)
    assert event_log.read().times.tolist() == [-2]


def test_items_are_described_by_what_the_catalogue_shares(items):
    log = happened(("ada", "sea-00", "view", 0), ("ada", "sea-01", "like", 1), ("bob", "hill-00", "view", 2))
    told = {"sea-00": {"tags": ["blue", "calm"], "pages": 12}, "sea-01": {"tags": ["blue"], "signed": True},
            "hill-00": {"signed": True, "motto": "only here"}}  # fmt: skip
    for item, attributes in told.items():
        Item.objects.filter(pk=item).update(attributes=attributes, creator="Ann" if item == "hill-00" else "Bob")
    data = event_log.described(event_log.interactions(log))
    columns = {item: tuple(row) for item, row in zip(data.items.all, data.item_features.tolist(), strict=True)}
    shared = {  # in falling order of items, then by name; only two of the three share each
        "category sea": ("sea-00", "sea-01"),
        "creator Bob": ("sea-00", "sea-01"),
        "signed True": ("hill-00", "sea-01"),
        "tags blue": ("sea-00", "sea-01"),
    }
    assert columns == {item: tuple(float(item in own) for own in shared.values()) for item in told}


def test_a_catalogue_that_tells_nothing_gives_no_features(items):
    log = happened(("ada", "sea-00", "view", 0), ("ada", "hill-01", "like", 1))
    Item.objects.update(attributes={}, creator="", category=None)
    assert event_log.described(event_log.interactions(log)).item_features is None
