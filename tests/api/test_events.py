"""Events: every row is recorded once, refused with a reason, or known already; nothing else happens."""

import json
import math
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.api import schemas
from recommender.models import Event, Item, Run, Visitor
from recommender.services import event_fields, events

from .conftest import Call

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def event(**changes: Any) -> dict[str, Any]:
    made = {"event_id": str(uuid.uuid4()), "kind": "view", "user_id": "customer-1", "item_id": "print-0042"}
    return {name: value for name, value in {**made, **changes}.items() if value is not ...}


def test_one_event(call: Call, shop: list[Item]) -> None:
    run = Run.objects.create(trainer="als", status=Run.Status.SUCCEEDED)
    rec_id = str(uuid.uuid4())
    row = event(kind="purchase", value=2, rec_id=rec_id, run_id=run.pk, shelf="for-you", position=3, session="basket-1")
    response = call("POST", "/events", row, "ingest")
    assert (response.status_code, response.data) == (201, {"accepted": True, "duplicate": False})
    saved = Event.objects.get()
    assert (str(saved.event_id), saved.kind, saved.value) == (row["event_id"], "purchase", 2.0)
    assert (saved.visitor_id, saved.visitor.kind) == ("customer-1", Visitor.Kind.EXTERNAL)
    assert (str(saved.rec_id), saved.run_id, saved.shelf, saved.position) == (rec_id, run.pk, "for-you", 3)
    assert saved.session == "basket-1"


def test_an_anonymous_session_is_a_visitor(call: Call, shop: list[Item]) -> None:
    assert call("POST", "/events", event(user_id=..., session_id="abc"), "ingest").status_code == 201
    assert Event.objects.get().visitor_id == "session:abc"


def test_the_same_event_id_is_recorded_once(call: Call, shop: list[Item]) -> None:
    row = event()
    assert call("POST", "/events", row, "ingest").status_code == 201
    again = call("POST", "/events", row, "ingest")
    assert (again.status_code, again.data) == (200, {"accepted": False, "duplicate": True})
    in_batch = call("POST", "/events/batch", {"events": [row, row, event()]}, "ingest")
    assert in_batch.data == {"accepted": 1, "duplicates": 2, "rejected": []}
    fresh = event()
    twice = call("POST", "/events/batch", {"events": [fresh, fresh]}, "ingest")
    assert twice.data == {"accepted": 1, "duplicates": 1, "rejected": []}
    assert Event.objects.count() == 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"item_id": "print-9999"}, "not in the catalogue"),
        ({"item_id": 42}, "not in the catalogue"),
        ({"item_id": ["print-0042"]}, "not in the catalogue"),
        ({"item_id": "print\x000042"}, "not in the catalogue"),
        ({"item_id": ...}, "not in the catalogue"),
        ({"event_id": "not-a-uuid"}, "event_id must be a UUID"),
        ({"event_id": ...}, "event_id must be a UUID"),
        ({"event_id": 12345678123456781234567812345678}, "event_id must be a UUID"),
        ({"event_id": {"a": math.nan}}, "event_id must be a UUID"),
        ({"kind": "teleport"}, "kind must be one of"),
        ({"kind": "v" * 100_000}, "kind must be one of"),
        ({"kind": None}, "kind must be one of"),
        ({"user_id": ...}, "either user_id or session_id"),
        ({"session_id": "abc"}, "either user_id or session_id"),
        ({"user_id": 7}, "user_id must be a text"),
        ({"user_id": True}, "user_id must be a text"),
        ({"user_id": {}}, "user_id must be a text"),
        ({"user_id": "a b"}, "user_id: An id is"),
        ({"user_id": "a\x00b"}, "user_id: An id is"),
        ({"user_id": "u" * 129}, "user_id: An id is"),
        ({"user_id": "guest:1"}, "the site's own"),
        ({"user_id": ..., "session_id": "s" * 128}, "session_id: An id is"),
        ({"user_id": "\ud800"}, "user_id is not valid Unicode"),
        ({"item_id": "\udfff"}, "item_id is not valid Unicode"),
        ({"session": "\ud83d"}, "session is not valid Unicode"),
        ({"session": "s" * 65}, "session must be a text"),
        ({"session": "a\x00"}, "session must be a text"),
        ({"session": 5}, "session must be a text"),
        ({"shelf": "x" * 33}, "shelf must be a text"),
        ({"shelf": False}, "shelf must be a text"),
        ({"rec_id": "abc"}, "rec_id must be a UUID"),
        ({"rec_id": 5}, "rec_id must be a UUID"),
        ({"run_id": "7"}, "run_id must be a whole number"),
        ({"run_id": True}, "run_id must be a whole number"),
        ({"run_id": 1.5}, "run_id must be a whole number"),
        ({"position": 0}, "position must be a whole number"),
        ({"position": 10_001}, "position must be a whole number"),
        ({"position": True}, "position must be a whole number"),
        ({"position": 1.0}, "position must be a whole number"),
        ({"value": math.nan}, "value must be a finite number"),
        ({"value": math.inf}, "value must be a finite number"),
        ({"value": -math.inf}, "value must be a finite number"),
        ({"value": True}, "value must be a finite number"),
        ({"value": "5"}, "value must be a finite number"),
        ({"value": 10**399}, "value must be a finite number"),
        ({"kind": "rating"}, "a rating needs its stars"),
        ({"kind": "rating", "value": 0}, "stars are 1 to 5"),
        ({"kind": "rating", "value": 5.5}, "stars are 1 to 5"),
        ({"kind": "purchase", "value": 0}, "a quantity is above 0"),
        ({"kind": "cart", "value": -1}, "a quantity is above 0"),
        ({"kind": "purchase", "value": 1e9}, "a quantity is above 0"),
        ({"occurred_at": "2190-01-01T00:00:00Z"}, "lies in the future"),
        ({"occurred_at": 32_503_680_000}, "lies in the future"),
        ({"occurred_at": 1_700_000_000_000}, "occurred_at must be ISO 8601"),
        ({"occurred_at": "1989-12-31T23:59:59Z"}, "before 1990"),
        ({"occurred_at": "0001-01-01T00:00:00+23:59"}, "before 1990"),
        ({"occurred_at": 0}, "before 1990"),
        ({"occurred_at": -(10**18)}, "occurred_at must be ISO 8601"),
        ({"occurred_at": 10**399}, "occurred_at must be ISO 8601"),
        ({"occurred_at": math.nan}, "occurred_at must be ISO 8601"),
        ({"occurred_at": True}, "occurred_at must be ISO 8601"),
        ({"occurred_at": "yesterday"}, "occurred_at must be ISO 8601"),
        ({"occurred_at": "2026-02-30T00:00:00Z"}, "occurred_at must be ISO 8601"),
        ({"occurred_at": ["2026-01-01T00:00:00Z"]}, "occurred_at must be ISO 8601"),
        ({"occurred_at": "2026-01-01T00:00:00"}, "needs a time zone"),
        ({"ocurred_at": "2026-01-01T00:00:00Z"}, "'ocurred_at' is not a field"),
        ({"x" * 10_000: 1}, "is not a field of an event"),
    ],
)
def test_a_bad_event_is_told_why_and_spoils_nothing_else(
    call: Call, shop: list[Item], changes: dict[str, Any], told: str
) -> None:
    bad = event(**changes)
    alone = call("POST", "/events", bad, "ingest")
    assert (alone.status_code, alone.data["type"]) == (422, "/problems/invalid-input")
    assert told in alone.data["detail"]
    assert len(alone.data["detail"]) < 400
    batch = call("POST", "/events/batch", {"events": [event(), bad, event()]}, "ingest")
    assert (batch.data["accepted"], batch.data["duplicates"]) == (2, 0)
    [refused] = batch.data["rejected"]
    assert refused["index"] == 1
    assert told in refused["reason"]
    assert refused["event_id"] == (bad["event_id"] if isinstance(bad.get("event_id"), str) else None)
    assert Event.objects.count() == 2


@pytest.mark.parametrize("row", [None, 7, True, "view", [], [event()], math.nan])
def test_a_row_that_is_no_object_is_a_rejected_row(call: Call, shop: list[Item], row: Any) -> None:
    response = call("POST", "/events/batch", {"events": [event(), row]}, "ingest")
    assert (response.status_code, response.data["accepted"]) == (200, 1)
    assert response.data["rejected"] == [{"index": 1, "event_id": None, "reason": "An event is an object with fields."}]


def test_an_endless_integer_costs_its_row_only(call: Call, shop: list[Item]) -> None:
    rows = json.dumps([event(value=1), event(value=77)]).replace('"value": 77', '"value": ' + "9" * 6000)
    response = call("POST", "/events/batch", f'{{"events": {rows}}}', "ingest")
    assert response.data["accepted"] == 1
    assert "finite" in response.data["rejected"][0]["reason"]


@pytest.mark.parametrize(
    "moment",
    ["2026-01-04T12:30:00Z", "2026-01-04T12:30:00+05:45", "1990-01-01T00:00:00Z", 1_700_000_000, 1_700_000_000.5, None],
)
def test_moments_that_are_fine(call: Call, shop: list[Item], moment: Any) -> None:
    if isinstance(moment, str) and datetime.fromisoformat(moment) > timezone.now():
        moment = (timezone.now() - timedelta(days=1)).isoformat()
    assert call("POST", "/events", event(occurred_at=moment), "ingest").status_code == 201
    if isinstance(moment, float):
        assert Event.objects.get().occurred_at == datetime.fromtimestamp(moment, UTC)


def test_a_clock_that_runs_ahead_a_little_is_set_back(call: Call, shop: list[Item]) -> None:
    soon = (timezone.now() + timedelta(minutes=5)).isoformat()
    assert call("POST", "/events", event(occurred_at=soon), "ingest").status_code == 201
    assert Event.objects.get().occurred_at <= timezone.now()


def test_a_run_that_is_gone_is_no_fault_of_the_event(call: Call, shop: list[Item]) -> None:
    for run_id in (999, 0, -1, 2**70):
        assert call("POST", "/events", event(run_id=run_id), "ingest").status_code == 201
    assert not Event.objects.exclude(run=None).exists()


def test_batches_of_nothing_and_of_too_much(call: Call, shop: list[Item]) -> None:
    assert call("POST", "/events/batch", {"events": []}, "ingest").data == {
        "accepted": 0,
        "duplicates": 0,
        "rejected": [],
    }
    full = [event() for _ in range(events.MAX_BATCH)]
    assert call("POST", "/events/batch", {"events": full}, "ingest").data["accepted"] == events.MAX_BATCH
    too_many = call("POST", "/events/batch", {"events": [*full, event()]}, "ingest")
    assert too_many.status_code == 422
    assert "at most 1000" in too_many.data["detail"]


@pytest.mark.parametrize("body", [{}, {"events": None}, {"events": {}}, {"events": "x"}, {"events": [], "x": 1}, [], 5])
def test_a_body_that_is_no_batch(call: Call, body: Any) -> None:
    response = call("POST", "/events/batch", body, "ingest")
    assert (response.status_code, response.data["type"]) == (422, "/problems/invalid-request")
    assert response.data["errors"][0]["pointer"].startswith("#")


@pytest.mark.parametrize("body", ["", "null", "[]", "7", '"view"', "NaN", "true"])
def test_a_body_that_is_no_event(call: Call, body: str) -> None:
    assert call("POST", "/events", body, "ingest").status_code == 422


def test_in_an_empty_shop_every_event_is_refused_with_its_reason(call: Call) -> None:
    response = call("POST", "/events/batch", {"events": [event()]}, "ingest")
    assert "add the item first" in response.data["rejected"][0]["reason"]
    assert not Visitor.objects.exists()


def test_the_documented_fields_are_the_checked_ones() -> None:
    assert set(schemas.EventIn.model_fields) == set(event_fields.FIELDS)


odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=200),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
plausible = st.fixed_dictionaries(
    {
        "event_id": st.uuids().map(str) | st.just("5b0d7b1e-4c67-4a3e-9b8e-111111111111") | odd,
        "kind": st.sampled_from([*Event.Kind.values, "teleport"]) | odd,
        "item_id": st.sampled_from(["print-0042", "book-1", "nothing"]) | odd,
    },
    optional={
        "user_id": st.sampled_from(["customer-1", "a b"]) | odd,
        "session_id": st.text(max_size=130) | odd,
        "value": st.floats() | st.integers() | odd,
        "occurred_at": st.datetimes().map(lambda moment: f"{moment.isoformat()}Z") | st.floats() | odd,
        "session": odd,
        "rec_id": st.uuids().map(str) | odd,
        "run_id": odd,
        "shelf": odd,
        "position": odd,
        "strange": odd,
    },
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(plausible | odd, max_size=6))
def test_whatever_is_sent_every_row_is_accounted_for(call: Call, shop: list[Item], rows: list[Any]) -> None:
    before = Event.objects.count()
    response = call("POST", "/events/batch", {"events": rows}, "ingest")
    assert response.status_code == 200
    accepted, duplicates, rejected = response.data["accepted"], response.data["duplicates"], response.data["rejected"]
    assert accepted + duplicates + len(rejected) == len(rows)
    assert Event.objects.count() == before + accepted
    assert all(refused["reason"] for refused in rejected)


@pytest.mark.django_db(transaction=True)
def test_two_who_send_the_same_batch_at_once_record_it_once(call: Call, shop: list[Item]) -> None:
    rows = [event(user_id=f"customer-{n % 3}") for n in range(50)]

    def send(order: int) -> Any:
        try:
            return call("POST", "/events/batch", {"events": rows[::order]}, "ingest")
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, (1, -1, 1, -1)))
    assert all(answer.status_code == 200 for answer in answers)
    assert sum(answer.data["accepted"] for answer in answers) == Event.objects.count() == 50
    assert sum(answer.data["duplicates"] for answer in answers) == 150
