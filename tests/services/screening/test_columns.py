"""The tables as columns: every row once, in order of time, with what its visitor had done before."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.utils import timezone

from recommender.engine.anomaly.subjects import access as doors
from recommender.engine.anomaly.subjects import orders, reviews, sessions
from recommender.engine.data.activity import KINDS
from recommender.engine.errors import NoData
from recommender.engine.options import Options
from recommender.models import Access, Event, Order, OrderLine, Review
from recommender.services import people
from recommender.services.screening import columns
from tests.services.conftest import START

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def happened(*rows: tuple[str, str, str, int], **fields) -> None:
    """Events of (visitor, item, kind, minutes after START)."""
    for visitor, item, kind, minutes in rows:
        people.ensure(visitor)
        at = START + timedelta(minutes=minutes)
        Event.objects.create(visitor_id=visitor, item_id=item, kind=kind, occurred_at=at, **fields)


@pytest.fixture(params=[columns.CHUNK, 2], ids=["one chunk", "many chunks"], autouse=True)
def chunk(request, monkeypatch):
    monkeypatch.setattr(columns, "CHUNK", request.param)


def test_activity_is_every_event_in_order_of_time(items):
    happened(("ada", "sea-01", "view", 5), ("bob", "sea-00", "impression", 1), session="visit 1")
    happened(("ada", "sea-02", "rating", 3), value=4.0)
    happened(("ada", "sea-02", "click", 9), session="visit 1")
    found = columns.activity()
    assert found.visitors.ids(found.visitor_rows) == ["bob", "ada", "ada", "ada"]
    assert found.items.ids(found.item_rows) == ["sea-00", "sea-02", "sea-01", "sea-02"]
    assert [KINDS[kind] for kind in found.kinds] == ["impression", "rating", "view", "click"]
    assert np.array_equal(found.values, [np.nan, 4, np.nan, np.nan], equal_nan=True)
    assert (found.times - int(START.timestamp())).tolist() == [60, 180, 300, 540]
    assert found.sessions[1] == -1 and found.sessions[0] == found.sessions[2] == found.sessions[3] >= 0
    assert found.item_vectors is None


def test_activity_has_the_vectors_of_the_live_run(live):
    found = columns.activity()
    assert found.item_vectors is not None and found.item_vectors.shape[0] == len(found.items)
    assert np.linalg.norm(found.item_vectors, axis=1) == pytest.approx(1, abs=1e-4)
    sea = [item.startswith("sea") for item in found.items.all]
    likeness = found.item_vectors @ found.item_vectors.T
    assert likeness[np.ix_(sea, sea)].mean() > likeness[np.ix_(sea, ~np.array(sea))].mean()


def test_an_artifact_that_cannot_be_opened_leaves_vectors_out(live, settings, tmp_path):
    settings.RECOMMENDER = {**settings.RECOMMENDER, "artifacts_dir": tmp_path / "gone"}
    assert columns.activity().item_vectors is None


def test_reviews_know_what_their_writers_did_before(items):
    happened(("ada", "sea-00", "view", 0), ("ada", "sea-00", "purchase", 2), ("bob", "sea-01", "view", 90))
    people.ensure("eve")
    for visitor, item, minutes in (
        ("ada", "sea-00", 60),
        ("ada", "sea-01", 61),
        ("bob", "sea-01", 70),
        ("eve", "sea-01", 80),
    ):
        at = START + timedelta(minutes=minutes)
        Review.objects.create(
            visitor_id=visitor,
            item_id=item,
            stars=5,
            title="Fine",
            body="Read twice.",
            created_at=at,
            held="",
            hidden=True,
        )
    Review.objects.filter(visitor="ada", item="sea-00").update(sentiment=0.75)
    found = columns.words(columns.activity())
    assert found.visitors.ids(found.visitor_rows) == ["ada", "ada", "bob", "eve"]
    assert found.looked_s.tolist() == [3600.0, np.inf, np.inf, np.inf]  # bob looked only afterwards
    assert found.bought.tolist() == [1, 0, 0, 0] and found.steps.tolist() == [2, 2, 1, 0]
    assert found.texts[0] == "Fine\nRead twice." and found.sentiment[0] == 0.75 and np.isnan(found.sentiment[1])
    assert found.ids == [str(pk) for pk in Review.objects.order_by("id").values_list("pk", flat=True)]
    assert len(reviews.find(found, Options()).probabilities) == 4


def test_reviews_in_a_shop_that_records_no_looks(items):
    happened(("ada", "sea-00", "rating", 0))
    Review.objects.create(visitor_id="ada", item_id="sea-00", stars=5, created_at=START)
    found = columns.words(columns.activity())
    assert np.isnan(found.looked_s).all() and np.isnan(found.bought).all() and np.isnan(found.steps).all()


def order(pk: str, visitor: str, minutes: int, **fields) -> Order:
    people.ensure(visitor)
    return Order.objects.create(
        id=pk, visitor_id=visitor, placed_at=START + timedelta(minutes=minutes), total=Decimal("12.50"), **fields
    )


def test_orders_know_their_lines_and_what_they_share(items):
    happened(("ada", "sea-00", "view", 0), ("ada", "sea-00", "cart", 8), ("ada", "sea-00", "cart", 30))
    first = order("o-1", "ada", 10, email="Ada@Example.org ", address="1  Quay\nPort", payment="card-1")
    order("o-2", "bob", 20, email="ada@example.org", address="1 Quay Port", client="192.0.2.1")
    OrderLine.objects.create(order=first, item_id="sea-00", quantity=2, unit_price=Decimal(5))
    OrderLine.objects.create(order=first, item_id="sea-01", quantity=1, unit_price=Decimal("2.50"))
    found = columns.orders(columns.activity())
    assert list(found.ids) == ["o-1", "o-2"] and found.totals.tolist() == [12.5, 12.5]
    assert found.emails[0] == found.emails[1] >= 0 and found.addresses[0] == found.addresses[1] >= 0
    assert found.cards[0] >= 0 > found.cards[1] and found.clients[1] >= 0 > found.clients[0]
    assert (found.line_orders.tolist(), found.quantities.tolist()) == ([0, 0], [2, 1])
    assert found.items.ids(found.line_items) == ["sea-00", "sea-01"]
    assert found.carted_s[0] == 120 and found.known_s[0] == 600  # the later cart event came after the order
    assert np.isnan(found.carted_s[1]) and np.isnan(found.known_s[1])
    assert len(orders.find(found, Options()).probabilities) == 2


def test_orders_without_lines_or_events(items):
    order("o-1", "ada", 10)
    found = columns.orders()
    assert len(found.line_orders) == 0 and np.isnan(found.known_s).all()
    assert np.isfinite(orders.find(found, Options()).probabilities).all()


def test_access_is_that_of_the_last_days(db):
    now = timezone.now().replace(second=0, microsecond=0)
    Access.objects.create(door="log_in", who="ada", client="192.0.2.1", minute=now, requests=3, failures=2)
    Access.objects.create(door="api", who="k1", client="", minute=now - timedelta(days=1), requests=9, targets=5)
    Access.objects.create(door="api", who="k1", client="", minute=now - timedelta(days=30), requests=9)
    found = columns.access()
    assert len(found) == 2 and found.log_ins.tolist() == [False, True]
    assert [found.names[row] for row in found.name_rows] == ["k1", "ada"]
    assert found.client_rows[0] == -1 and found.clients[found.client_rows[1]] == "192.0.2.1"
    assert (found.requests.tolist(), found.failures.tolist(), found.targets.tolist()) == ([9, 3], [0, 2], [5, 0])
    assert found.minutes[1] == int(now.timestamp())
    assert set(doors.find(found, Options()).features.ids) == {"client 192.0.2.1", "log_in ada", "api k1"}


def test_empty_tables_are_said(items):
    for read in (columns.activity, columns.orders, columns.access):
        with pytest.raises(NoData):
            read()
    happened(("ada", "sea-00", "view", 0))
    with pytest.raises(NoData):
        columns.words(columns.activity())
    assert sessions.find(columns.activity(), Options()).features.ids == [
        f"ada@{columns.activity().sessions[0]}"
    ]  # one event has no time to speak of
