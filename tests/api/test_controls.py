"""What visitors decide, through the API: checked, all or nothing, and true on the next answer."""

import pytest

from recommender.models import Control, Event, Item, Run, Visitor

from .conftest import Call

pytestmark = pytest.mark.django_db

WHERE = "/visitors/controls"
ADA = f"{WHERE}?user_id=customer-1"
DEFAULTS = {"personalised": True, "private_since": None, "reset_at": None, "topics": {}, "ignored": [], "undo": None}


def view(call: Call, number: int, **who: str) -> dict:
    event = {"event_id": f"00000000-0000-4000-8000-{number:012d}", "kind": "view", "item_id": "book-1"}
    return call("POST", "/events", {**event, **(who or {"user_id": "customer-1"})}, "ingest")


def test_whoever_decided_nothing_has_the_defaults_and_no_row(shop: list[Item], call: Call) -> None:
    assert call("GET", ADA, scope="read").data == DEFAULTS
    assert not Visitor.objects.exists()


def test_changes_are_kept_and_what_is_left_out_stays(shop: list[Item], call: Call) -> None:
    first = call(
        "PATCH", ADA, {"topics": {"category:prints": -1, "category:books": 0.5}, "ignore": ["book-1"]}, "ingest"
    )
    assert first.data["topics"] == {"category:prints": -1, "category:books": 0.5}
    assert (first.data["ignored"], first.data["undo"]) == (["book-1"], "leaving out A year by the sea")
    call("PATCH", ADA, {"topics": {"category:prints": 0}, "heed": ["book-1"], "personalised": False}, "ingest")
    assert call("GET", ADA, scope="read").data == DEFAULTS | {
        "topics": {"category:books": 0.5},
        "personalised": False,
        "undo": "personal recommendations off",
    }
    assert call("PATCH", ADA, {}, "ingest").data["personalised"] is False


def test_undo_goes_back_step_by_step(shop: list[Item], call: Call) -> None:
    call("PATCH", ADA, {"topics": {"category:prints": -1}, "private": True}, "ingest")
    assert call("POST", f"{WHERE}/undo?user_id=customer-1", scope="ingest").data["undone"] == "private mode on"
    last = call("POST", f"{WHERE}/undo?user_id=customer-1", scope="ingest").data
    assert last == DEFAULTS | {"undone": "the wish about Prints"}
    assert call("POST", f"{WHERE}/undo?user_id=customer-1", scope="ingest").data == DEFAULTS | {"undone": None}


def test_a_private_visitors_events_are_dropped_and_the_answer_says_so(shop: list[Item], call: Call) -> None:
    call("PATCH", f"{WHERE}?session_id=web-1", {"private": True}, "ingest")
    alone = view(call, 1, session_id="web-1")
    assert (alone.status_code, alone.data) == (200, {"accepted": False, "duplicate": False, "not_recorded": True})
    rows = [
        {"event_id": f"00000000-0000-4000-8000-00000000001{place}", "kind": "view", "item_id": "book-1", **who}
        for place, who in enumerate([{"session_id": "web-1"}, {"user_id": "bob"}])
    ]
    batch = call("POST", "/events/batch", {"events": rows}, "ingest")
    assert batch.data == {"accepted": 1, "duplicates": 0, "rejected": [], "not_recorded": 1}
    assert Event.objects.count() == 1


def test_a_visit_is_forgotten(shop: list[Item], call: Call) -> None:
    view(call, 1)
    since = "2026-01-01T00:00:00%2B01:00"
    assert call("POST", f"{WHERE}/forget-session?user_id=customer-2", scope="ingest").data == {"forgotten": 0}
    assert call("POST", f"{WHERE}/forget-session?user_id=customer-1", scope="ingest").data == {"forgotten": 1}
    view(call, 2)
    wide = call("POST", f"{WHERE}/forget-session?user_id=customer-1&since={since}", scope="ingest")
    assert wide.data == {"forgotten": 1} and not Event.objects.exists()


def test_the_next_answer_goes_by_it(learned: Run, call: Call) -> None:
    ask = "/recommendations?user_id=customer-1&n=4"
    stranger = call("GET", "/recommendations?user_id=nobody&n=4").data["items"]
    mine = call("GET", ask).data["items"]
    call("POST", f"{WHERE}/reset?user_id=customer-1", scope="ingest")
    assert call("GET", ask).data["items"] == stranger != mine
    call("POST", f"{WHERE}/undo?user_id=customer-1", scope="ingest")
    assert call("GET", ask).data["items"] == mine
    call("PATCH", ADA, {"personalised": False}, "ingest")
    assert call("GET", ask).data["items"] == stranger


@pytest.mark.parametrize(
    "changes",
    [
        {"topics": {"category:nothing": 1}},
        {"topics": {"prints": 1}},
        {"topics": {"category:prints": 1.5}},
        {"topics": {"category:prints": True}},
        {"topics": ["category:prints"]},
        {"ignore": ["nothing"]},
        {"ignore": ["a\0"]},
        {"ignore": "book-1"},
        {"private": 1},
        {"personalised": "no"},
        {"colour": "red"},
        {"topics": {f"creator:{number}": 0 for number in range(51)}},
        [],
        None,
    ],
)
def test_bad_changes_change_nothing(shop: list[Item], call: Call, changes: object) -> None:
    body = {"topics": {"category:books": 1}, **changes} if isinstance(changes, dict) else changes
    assert call("PATCH", ADA, body, "ingest").status_code in (400, 422)
    assert not Control.objects.exists()


@pytest.mark.parametrize("who", ["", "?user_id=a&session_id=b", "?user_id=guest:1", "?user_id=a%00", "?session_id="])
def test_a_visitor_is_named_once(shop: list[Item], call: Call, who: str) -> None:
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("POST", "/reset"),
        ("POST", "/undo"),
        ("POST", "/forget-session"),
    ):
        body = {} if method == "PATCH" else None
        assert call(method, f"{WHERE}{path}{who}", body).status_code == 422


@pytest.mark.parametrize("since", ["yesterday", "2999-01-01T00:00:00Z", "2026-01-01T00:00:00"])
def test_a_moment_is_one_with_a_zone_that_has_passed(shop: list[Item], call: Call, since: str) -> None:
    view(call, 1)
    assert call("POST", f"{WHERE}/forget-session?user_id=customer-1&since={since}").status_code == 422
    assert Event.objects.count() == 1


def test_scopes(shop: list[Item], call: Call) -> None:
    assert call("GET", ADA, scope="ingest").status_code == 403
    assert call("PATCH", ADA, {"private": True}, "read").status_code == 403
    assert call("POST", f"{WHERE}/reset?user_id=a", scope="read").status_code == 403
    assert call("GET", ADA, scope=None).status_code == 401
