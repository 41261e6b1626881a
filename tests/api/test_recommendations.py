"""What to show: from a model that learned, from what is popular, and from nothing at all."""

from typing import Any
from uuid import UUID

import pytest

from recommender.models import Category, Event, Item, Run
from recommender.services import catalogue, events, publishing, serving

from .conftest import Call
from .test_events import event

pytestmark = [pytest.mark.django_db, pytest.mark.database]

SHELVES = (
    "/recommendations?user_id=customer-1",
    "/recommendations?session_id=abc",
    "/popular",
    "/popular?category=prints",
    "/items/print-0042/similar",
    "/items/print-0042/bought-together",
)


def ids(response: Any) -> list[str]:
    return [item["item_id"] for item in response.data["items"]]


def test_a_known_user_is_served_by_the_model(call: Call, learned: Run) -> None:
    events.record_batch([event(user_id="newcomer", item_id="print-0042", kind="like")])
    response = call("GET", "/recommendations?user_id=newcomer&n=2", scope="read")
    assert response.status_code == 200
    assert (response.data["run_id"], response.data["tier"], response.data["shelf"]) == (learned.pk, "model", "for-you")
    UUID(response.data["rec_id"])
    first = response.data["items"][0]
    assert (first["item_id"], first["position"]) == ("print-0043", 1)
    assert first["reason"] == "Because you liked Harbour at dawn"
    assert (first["price"], first["category"], first["image"]) == ("18.50", "prints", None)
    assert "print-0042" not in ids(response)


def test_an_event_posted_now_changes_the_next_answer(call: Call, learned: Run) -> None:
    url = "/recommendations?session_id=visit-9"
    assert call("GET", url, scope="read").data["tier"] == "popular"
    call("POST", "/events", event(user_id=..., session_id="visit-9", item_id="poster-1"), "ingest")
    after = call("GET", url, scope="read")
    assert (after.data["tier"], ids(after)[0]) == ("model", "book-1")


def test_similar_bought_together_and_popular_name_their_run(call: Call, learned: Run) -> None:
    for path, tier, words in (
        ("similar", "similar", "Liked by the same shoppers"),
        ("bought-together", "together", "Bought together with Harbour at dawn"),
    ):
        response = call("GET", f"/items/print-0042/{path}?n=1", scope="read")
        assert (ids(response), response.data["tier"], response.data["run_id"]) == (["print-0043"], tier, learned.pk)
        assert response.data["items"][0]["reason"] == words
    popular = call("GET", "/popular?n=3", scope="read")
    assert (len(ids(popular)), popular.data["tier"], popular.data["run_id"]) == (3, "popular", learned.pk)
    assert [item["position"] for item in popular.data["items"]] == [1, 2, 3]


def test_a_category_holds_its_children_and_nothing_else(call: Call, learned: Run) -> None:
    assert set(ids(call("GET", "/popular?category=prints", scope="read"))) == {"print-0042", "print-0043", "poster-1"}
    response = call("GET", "/recommendations?user_id=customer-1&category=books", scope="read")
    assert ids(response) == ["book-1"]


def test_an_unknown_user_gets_popular_items(call: Call, learned: Run) -> None:
    response = call("GET", "/recommendations?user_id=nobody", scope="read")
    assert (response.status_code, response.data["tier"]) == (200, "popular")
    assert len(ids(response)) == 4


def test_without_a_model_popular_items_serve(call: Call, shop: list[Item]) -> None:
    events.record_batch([event(user_id=f"u{n}", item_id="book-1") for n in range(3)] + [event()])
    response = call("GET", "/recommendations?user_id=nobody", scope="read")
    assert (response.data["tier"], response.data["run_id"]) == ("popular", None)
    assert ids(response)[:2] == ["book-1", "print-0042"]
    similar = call("GET", "/items/print-0043/similar", scope="read")
    assert (similar.data["tier"], ids(similar)) == ("popular", ["print-0042"])
    assert ids(call("GET", "/items/print-0043/bought-together", scope="read")) == []


def test_a_live_model_that_cannot_be_opened_falls_back(call: Call, shop: list[Item]) -> None:
    run = Run.objects.create(trainer="als", status=Run.Status.SUCCEEDED, artifact="run-gone")
    publishing._point(run, "publish", "as if its disk had died", None)
    response = call("GET", "/recommendations?user_id=customer-1", scope="read")
    assert (response.status_code, response.data["tier"]) == (200, "catalogue")
    assert len(ids(response)) == 4


@pytest.mark.parametrize("path", SHELVES)
def test_a_shop_where_nothing_happened_shows_what_is_new(call: Call, shop: list[Item], path: str) -> None:
    response = call("GET", path, scope="read")
    assert (response.status_code, response.data["run_id"]) == (200, None)
    assert response.data["tier"] == ("together" if "together" in path else "catalogue")
    assert all(item["reason"] == "New in the shop" for item in response.data["items"])


@pytest.mark.parametrize("path", SHELVES[:3])
def test_an_empty_shop_answers_with_nothing(call: Call, path: str) -> None:
    response = call("GET", path, scope="read")
    assert (response.status_code, response.data["items"]) == (200, [])


def test_one_user_one_item_and_no_text(call: Call, keys: dict[str, str]) -> None:
    Item.objects.create(id="only", title="Only")
    assert ids(call("GET", "/popular", scope="read")) == ["only"]
    call("POST", "/events", event(item_id="only"), "ingest")
    assert ids(call("GET", "/items/only/similar", scope="read")) == []
    assert ids(call("GET", "/recommendations?user_id=customer-1", scope="read")) == []
    stranger = call("GET", "/recommendations?user_id=nobody", scope="read")
    assert stranger.data["items"][0] == {
        "item_id": "only",
        "title": "Only",
        "score": 1.0,
        "position": 1,
        "reason": "Popular with other shoppers",
        "source": None,
        "rules": [],
        "chance": None,
        "price": None,
        "category": None,
        "image": None,
    }


def test_inactive_and_sold_out_items_are_not_shown(call: Call, learned: Run) -> None:
    catalogue.put("print-0043", {"stock": 0})
    catalogue.put("book-1", {"active": False})
    for path in SHELVES:
        assert not {"print-0043", "book-1"} & set(ids(call("GET", path, scope="read")))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "either user_id or session_id"),
        ("user_id=", "either user_id or session_id"),
        ("user_id=a&session_id=b", "either user_id or session_id"),
        ("user_id=a%20b", "user_id: An id is"),
        ("user_id=a%00b", "user_id: An id is"),
        ("user_id=" + "u" * 129, "user_id: An id is"),
        ("user_id=guest:1", "the site's own"),
        ("session_id=" + "s" * 125, "session_id: An id is"),
        ("user_id=a&n=0", "n: Input should be greater than or equal to 1"),
        ("user_id=a&n=101", "n: Input should be less than or equal to 100"),
        ("user_id=a&n=-1", "n: Input should be greater"),
        ("user_id=a&n=ten", "n: Input should be a valid integer"),
        ("user_id=a&n=NaN", "n: Input should be a valid integer"),
        ("user_id=a&n=true", "n: Input should be a valid integer"),
        ("user_id=a&n=1.5", "n: Input should be a valid integer"),
        ("user_id=a&n=" + "9" * 5000, "n: "),
        ("user_id=a&n=", "n: Input should be a valid integer"),
    ],
)
def test_a_bad_question_is_told_why(call: Call, shop: list[Item], query: str, told: str) -> None:
    response = call("GET", f"/recommendations?{query}", scope="read")
    assert response.status_code == 422
    assert told in response.data["detail"]


@pytest.mark.parametrize("slug", ["toys", "", "a%00b", "no such", "x" * 5000, "%F0%9F%92%A9"])
@pytest.mark.parametrize("path", ["/popular?", "/recommendations?user_id=a&"])
def test_an_unknown_category_is_named(call: Call, shop: list[Item], path: str, slug: str) -> None:
    response = call("GET", f"{path}category={slug}", scope="read")
    assert (response.status_code, response.data["type"]) == (404, "/problems/unknown-category")


@pytest.mark.parametrize("item_id", ["nothing", "a%00b", "a%20b", "%F0%9F%92%A9", "x" * 3000, "%ff"])
@pytest.mark.parametrize("path", ["", "/similar", "/bought-together"])
def test_an_unknown_item_is_named(call: Call, shop: list[Item], path: str, item_id: str) -> None:
    response = call("GET", f"/items/{item_id}{path}", scope="read")
    assert (response.status_code, response.data["type"]) == (404, "/problems/unknown-item")


def test_an_empty_category_is_no_error(call: Call, shop: list[Item]) -> None:
    Category.objects.create(slug="toys", name="Toys")
    assert ids(call("GET", "/popular?category=toys", scope="read")) == []


def test_a_score_that_is_no_number_stays_valid_json(
    call: Call, shop: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [serving.Recommendation(shop[0], 1, float("-inf"), "Because")]
    monkeypatch.setattr(serving, "popular", lambda *args, **kwargs: serving.Shelf("p", "P", "popular", None, entries))
    assert call("GET", "/popular", scope="read").data["items"][0]["score"] == 0.0


def test_the_next_click_carries_the_answer_back(call: Call, learned: Run) -> None:
    shelf = call("GET", "/items/print-0042/similar", scope="read").data
    source = {name: shelf[name] for name in ("rec_id", "run_id", "shelf")} | {"position": shelf["items"][0]["position"]}
    sent = event(kind="click", item_id=shelf["items"][0]["item_id"], user_id="reader", **source)
    assert call("POST", "/events", sent, "ingest").status_code == 201
    saved = Event.objects.get(visitor_id="reader")
    assert (str(saved.rec_id), saved.run_id, saved.position) == (shelf["rec_id"], learned.pk, 1)


@pytest.mark.parametrize(
    "query",
    ["user_id=a&n=3", "session_id=s", "", "user_id=", "user_id=guest:x", "user_id=a&session_id=b", "user_id=a&n=0",
     "user_id=a&n=101", "user_id=a&n=x", "user_id=a&n=", "user_id=a&user_id=b", "user_id=a%20b", "user_id=a&n=03"],
)  # fmt: skip
@pytest.mark.parametrize("scope", ["read", "ingest", None])
def test_what_is_asked_most_is_answered_as_all_else_is(
    call: Call, shop: list[Item], query: str, scope: str | None
) -> None:
    """The quick way to an answer, and ninja's, which one more parameter asks for."""
    quick = call("GET", f"/recommendations?{query}", scope=scope)
    usual = call("GET", f"/recommendations?{query}&explain=false", scope=scope)
    assert quick.status_code == usual.status_code
    assert {**quick.data, "rec_id": ""} == {**usual.data, "rec_id": ""}
    assert {name: quick[name] for name in quick.headers if name != "Content-Length"} == {
        name: usual[name] for name in usual.headers if name != "Content-Length"
    }
