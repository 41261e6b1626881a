"""The assistant over the API."""

import pytest

from .conftest import Call

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_a_wish_and_its_refinement(call: Call, shop: list) -> None:
    first = call("POST", "/assistant", {"message": "something of the sea, under 20"}, "read")
    assert first.status_code == 200
    assert [item["item_id"] for item in first.data["items"]] == ["book-1"]
    assert "£20.00" in first.data["text"]
    again = call("POST", "/assistant", {"message": "under 10", "state": first.data["state"]}, "read")
    assert "£10.00" in again.data["text"]
    assert "sea" in again.data["text"]


@pytest.mark.parametrize(
    "body", [{}, {"message": ""}, {"message": "x" * 501}, {"message": "a", "state": "x" * 5000}, {"message": 5}]
)
def test_what_is_no_question_is_refused(call: Call, shop: list, body: dict) -> None:
    assert call("POST", "/assistant", body, "read").status_code == 422


def test_a_state_of_another_site_is_no_error(call: Call, shop: list) -> None:
    answer = call("POST", "/assistant", {"message": "sea", "state": "forged"}, "read")
    assert answer.status_code == 200


def test_reading_needs_the_scope(call: Call, shop: list) -> None:
    assert call("POST", "/assistant", {"message": "sea"}, "ingest").status_code == 403
