"""Recording: idempotent, tolerant of bad rows, exact in its counts."""

import json
import math
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone

from recommender.models import Event, Run, Visitor
from recommender.services import events, people
from recommender.services.errors import InvalidInput
from tests.services.conftest import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.database]
TOGETHER = pytest.mark.django_db(transaction=True)


def row(**changes):
    """A good row, changed; ... takes a field out."""
    values = {"event_id": str(uuid.uuid4()), "kind": "view", "item_id": "sea-00", "user_id": "ada", **changes}
    return {name: value for name, value in values.items() if value is not ...}


def refusal(**changes) -> str:
    """The reason for which a row is refused; a good row beside it must be kept."""
    bad, good = row(**changes), row()
    result = events.record_batch([bad, good])
    assert result.accepted == 1 and result.duplicates == 0
    assert Event.objects.get().event_id == uuid.UUID(good["event_id"])
    [refused] = result.rejected
    assert refused["index"] == 0
    json.dumps(refused, allow_nan=False)
    return refused["reason"]


def test_a_full_row_is_stored_as_it_is(items):
    run, rec_id = Run.objects.create(trainer="als", status="succeeded"), uuid.uuid4()
    sent = row(
        kind="purchase", value=2, occurred_at="2026-03-01T10:00:00+01:00", session="basket 7", rec_id=str(rec_id)
    )
    assert events.record_batch([sent | {"run_id": run.pk, "shelf": "for-you", "position": 3}]).accepted == 1
    event = Event.objects.get()
    assert (str(event.event_id), event.kind, event.item_id) == (sent["event_id"], "purchase", "sea-00")
    assert (event.visitor_id, event.visitor.kind) == ("ada", "external")
    assert (event.value, event.session, event.occurred_at) == (2.0, "basket 7", datetime(2026, 3, 1, 9, tzinfo=UTC))
    assert (event.rec_id, event.run_id, event.shelf, event.position) == (rec_id, run.pk, "for-you", 3)


def test_a_session_is_a_visitor_of_its_own(items):
    assert events.record_batch([row(user_id=..., session_id="tab-1")]).accepted == 1
    assert Visitor.objects.get().id == "session:tab-1"


def test_the_same_event_twice_is_stored_once(items):
    sent = row()
    assert events.record_batch([sent]).accepted == 1
    again = events.record_batch([sent])
    assert (again.accepted, again.duplicates, again.rejected) == (0, 1, [])
    assert Event.objects.count() == 1


def test_the_same_event_twice_within_a_batch_is_stored_once(items):
    sent = row()
    result = events.record_batch([sent, row(), sent, sent])
    assert (result.accepted, result.duplicates) == (2, 2)
    assert Event.objects.count() == 2


def test_the_way_a_uuid_is_written_does_not_matter(items):
    event_id = uuid.uuid4()
    result = events.record_batch([row(event_id=str(event_id).upper()), row(event_id=event_id.hex)])
    assert (result.accepted, result.duplicates) == (1, 1)


def test_counts_add_up(items):
    known = row()
    events.record_batch([known])
    rows = [known, row(), row(kind="walk"), row(item_id="sold"), row(), "nonsense", row(value=math.nan), known]
    result = events.record_batch(rows)
    assert (result.accepted, result.duplicates, len(result.rejected)) == (2, 2, 4)
    assert result.accepted + result.duplicates + len(result.rejected) == len(rows)
    assert [refused["index"] for refused in result.rejected] == [2, 3, 5, 6]
    assert Event.objects.count() == 3


def test_the_order_of_a_batch_does_not_matter(items):
    rows = [row(kind=kind, value=value) for kind, value in (("view", None), ("rating", 9), ("rating", 4), ("hum", 1))]
    there = events.record_batch(rows)
    stored = set(Event.objects.values_list("event_id", "kind", "value"))
    Event.objects.all().delete()
    back = events.record_batch(rows[::-1])
    assert (there.accepted, there.duplicates) == (back.accepted, back.duplicates)
    assert {refused["event_id"] for refused in there.rejected} == {refused["event_id"] for refused in back.rejected}
    assert set(Event.objects.values_list("event_id", "kind", "value")) == stored


def test_an_empty_batch_is_nothing(items):
    result = events.record_batch([])
    assert (result.accepted, result.duplicates, result.rejected) == (0, 0, [])


def test_a_thousand_rows_are_a_batch_and_one_more_is_not(items):
    rows = [row() for _ in range(events.MAX_BATCH + 1)]
    with pytest.raises(InvalidInput, match="at most 1000"):
        events.record_batch(rows)
    assert not Event.objects.exists()
    assert events.record_batch(rows[1:]).accepted == 1000


@pytest.mark.parametrize("sent", [None, 5, "text", [], [1], True, math.nan])
def test_what_is_not_an_object_is_refused(items, sent):
    result = events.record_batch([sent, row()])
    assert result.accepted == 1
    assert result.rejected == [{"index": 0, "event_id": None, "reason": "An event is an object with fields."}]


ODD = [
    0,
    -1,
    1.5,
    True,
    10**400,
    math.nan,
    math.inf,
    [],
    ["a"],
    {},
    {"a": 1},
    "a\x00b",
    "\ud800",
    "",
    " ",
    "x" * 200,
]


@pytest.mark.parametrize("value", [..., None, *ODD], ids=repr)
@pytest.mark.parametrize("name", ["event_id", "kind", "item_id", "user_id"])
def test_a_malformed_necessary_field_is_refused(items, name, value):
    assert name in refusal(**{name: value})


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_a_malformed_session_id_is_refused(items, value):
    assert "session_id" in refusal(user_id=..., session_id=value)


@pytest.mark.parametrize("value", [value for value in ODD if value not in ("",)], ids=repr)
@pytest.mark.parametrize("name", ["rec_id", "occurred_at"])
def test_a_malformed_optional_field_is_refused(items, name, value):
    if name == "occurred_at" and value in (0, -1, 1.5):
        assert "before 1990" in refusal(**{name: value})
    else:
        assert name in refusal(**{name: value})


@pytest.mark.parametrize("value", [value for value in ODD if value not in ("", " ", "x" * 200)], ids=repr)
@pytest.mark.parametrize("name", ["session", "shelf"])
def test_a_malformed_text_is_refused(items, name, value):
    assert name in refusal(**{name: value})


@pytest.mark.parametrize("value", [0, -1, 1.5, 10_001, True, 10**400, math.nan, [1], "3"], ids=repr)
def test_a_malformed_position_is_refused(items, value):
    assert "position" in refusal(position=value)


@pytest.mark.parametrize("value", [True, 1.5, math.nan, [1], "3", {}], ids=repr)
def test_a_malformed_run_is_refused(items, value):
    assert "run_id" in refusal(run_id=value)


@pytest.mark.parametrize("value", [1, -1, 0, 2**63, 10**400], ids=["gone", "-1", "0", "2**63", "10**400"])
def test_a_run_that_is_not_there_is_left_out(items, value):
    assert events.record_batch([row(run_id=value)]).accepted == 1
    assert Event.objects.get().run_id is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, 10**400, "2", [2], {}], ids=repr)
def test_a_value_must_be_a_finite_number(items, value):
    assert "finite" in refusal(value=value)


@pytest.mark.parametrize(
    ("kind", "value"), [("rating", 0), ("rating", 5.5), ("rating", None), ("purchase", 0), ("cart", -1), ("cart", 1e6)]
)
def test_a_value_must_fit_its_kind(items, kind, value):
    assert "value" in refusal(kind=kind, value=value)


def test_an_unknown_field_is_refused(items):
    assert "'time' is not a field" in refusal(time=1)


def test_user_and_session_exclude_each_other(items):
    assert "either" in refusal(session_id="tab-1")


@pytest.mark.parametrize("name", ["guest:1", "session:1"])
def test_the_sites_own_prefixes_are_not_a_clients(items, name):
    assert "the site's own" in refusal(user_id=name)


def test_an_account_may_be_named(items, account):
    events.record_batch([row(user_id=account.pk)])
    assert Event.objects.get().visitor == account


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("2026-03-01T10:00:00", "time zone"),
        ("2026-03-01", "time zone"),
        ("yesterday", "ISO 8601"),
        ("2026-02-30T10:00:00Z", "ISO 8601"),
        ("0001-01-01T00:00:00+23:59", "before 1990"),
        ("9999-12-31T23:59:59-23:59", "future"),
        ("1989-12-31T23:59:59Z", "before 1990"),
        (0, "before 1990"),
        (1_772_359_200_000, "occurred_at"),  # milliseconds
        (1e300, "ISO 8601"),
    ],
)
def test_a_time_must_be_plausible(items, given, reason):
    assert reason in refusal(occurred_at=given)


@pytest.mark.parametrize("given", ["2026-03-01T10:00:00Z", "2026-03-01 11:00+01:00", 1_772_359_200, 1_772_359_200.0])
def test_a_time_can_be_written_in_several_ways(items, given):
    assert events.record_batch([row(occurred_at=given)]).accepted == 1
    assert Event.objects.get().occurred_at == datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_a_clock_that_runs_ahead_is_set_back(items):
    ahead = timezone.now() + timedelta(minutes=5)
    assert events.record_batch([row(occurred_at=ahead.isoformat())]).accepted == 1
    assert Event.objects.get().occurred_at <= timezone.now()


def test_a_merged_guests_events_go_to_the_account(items, guest, account):
    people.merge(guest.pk, account)
    events.record(guest, items["sea-00"], "view")
    events.record_view(guest.pk, items["sea-01"], events.Source())
    events.record_impressions(guest.pk, [{"item": "sea-02"}])
    assert set(Event.objects.values_list("visitor_id", flat=True)) == {account.pk}


def test_a_merged_sessions_events_go_to_the_account(items, account):
    people.merge(people.ensure("session:tab-1").pk, account)
    events.record_batch([row(user_id=..., session_id="tab-1"), row(user_id="bob")])
    assert set(Event.objects.values_list("visitor_id", flat=True)) == {account.pk, "bob"}


def test_one_event_can_be_recorded_twice(items, guest):
    event_id = uuid.uuid4()
    assert events.record(guest, items["sea-00"], "like", event_id=event_id)
    assert not events.record(guest, items["sea-00"], "like", event_id=event_id)
    assert Event.objects.count() == 1


def test_opening_a_page_again_at_once_is_one_view(items, guest):
    assert events.record_view(guest.pk, items["sea-00"], events.Source())
    assert not events.record_view(guest.pk, items["sea-00"], events.Source())
    assert events.record_view(guest.pk, items["sea-01"], events.Source())
    Event.objects.update(occurred_at=timezone.now() - events.SAME_VIEW)
    assert events.record_view(guest.pk, items["sea-00"], events.Source())


def test_impressions_keep_what_fits_and_drop_the_rest(items):
    run = Run.objects.create(trainer="als", status="succeeded")
    rec = str(uuid.uuid4())
    good = {"item": "sea-00", "rec": rec, "run": str(run.pk), "shelf": "for-you", "at": "2"}
    odd = {"item": "sea-01", "rec": "x", "run": "-1", "shelf": "no such shelf!", "at": "0"}
    cards = [good, odd, {"item": "gone"}, {"item": ["sea-02"]}, {"item": None}, 5, None, {}]
    assert events.record_impressions("guest:1", cards) == 2
    first, second = Event.objects.order_by("item_id")
    assert (str(first.rec_id), first.run_id, first.shelf, first.position) == (rec, run.pk, "for-you", 2)
    assert (second.rec_id, second.run_id, second.shelf, second.position) == (None, None, "", None)


@pytest.mark.parametrize("cards", [None, 5, "text", {}, {"item": "sea-00"}, [], [None]], ids=repr)
def test_impressions_that_are_no_list_of_cards_are_nothing(items, cards):
    assert events.record_impressions("guest:1", cards) == 0
    assert not Visitor.objects.exists()


def test_the_latest_opinion_counts(items, guest):
    assert events.opinion(guest.pk, "sea-00") == ""
    events.record(guest, items["sea-00"], "like")
    events.record(guest, items["sea-00"], "dislike")
    assert events.opinion(guest.pk, "sea-00") == "dislike"


def test_history_is_what_a_visitor_did_not_what_was_shown(items, guest):
    events.record_impressions(guest.pk, [{"item": "sea-02"}])
    events.record(guest, items["sea-00"], "view")
    events.record(guest, items["sea-01"], "like")
    assert [event.item_id for event in events.history_of(guest.pk)] == ["sea-01", "sea-00"]


@TOGETHER
def test_a_retry_beside_its_first_attempt_stores_each_event_once(items):
    rows = [row(user_id=f"user-{number % 7}") for number in range(200)]
    results = at_once(*[lambda batch=batch: events.record_batch(batch) for batch in (rows, rows[::-1], rows[50:])])
    assert sum(result.accepted for result in results) == 200
    assert sum(result.duplicates for result in results) == 350
    assert Event.objects.count() == 200


@TOGETHER
def test_a_guest_who_logs_in_while_events_arrive_takes_all_of_them_along(items, account):
    guest = people.ensure("session:tab-1")
    batches = [[row(user_id=..., session_id="tab-1") for _ in range(20)] for _ in range(4)]
    recording = [lambda batch=batch: events.record_batch(batch) for batch in batches]
    results = at_once(*recording, lambda: people.merge(guest.pk, account))
    assert [result.accepted for result in results[:4]] == [20] * 4
    assert Event.objects.filter(visitor=account).count() == 80


@TOGETHER
def test_an_item_deleted_between_check_and_insert_is_an_error_not_a_silent_loss(items, monkeypatch):
    insert = events._insert

    def deleted_first(rows):
        items["sea-00"].delete()
        return insert(rows)

    monkeypatch.setattr(events, "_insert", deleted_first)
    with pytest.raises(IntegrityError):
        events.record_batch([row(), row(item_id="sea-01")])
    assert not Event.objects.exists() and not Visitor.objects.exists()
