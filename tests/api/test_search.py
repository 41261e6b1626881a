"""Search and suggestions over the API."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from recommender.models import Category, Event, Item, Run

from .conftest import Call
from .test_events import event

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def prints(shop: list[Item]) -> list[Item]:
    made = [
        Item(
            id=f"harbour-{number:02d}",
            title=f"Harbour {number:02d}",
            creator=("Ada", "Ben")[number % 2],
            category=Category.objects.get(pk="posters"),
            price=Decimal(number + 1),
            stock=number % 3,
            attributes={"paper": ("matt", "glossy")[number % 2], "signed": number > 5},
        )
        for number in range(12)
    ]
    return Item.objects.bulk_create(made)


def ids(answer: Any) -> list[str]:
    return [item["item_id"] for item in answer.data["items"]]


def test_what_an_answer_says(call: Call, shop: list[Item]) -> None:
    answer = call("GET", "/search?q=harbour at dawn", scope="read")
    assert answer.status_code == 200
    assert UUID(answer.data["rec_id"])
    assert {name: answer.data[name] for name in ("run_id", "shelf", "tier", "total", "cut", "query")} == {
        "run_id": None, "shelf": "search", "tier": "words", "total": 1, "cut": False, "query": "harbour at dawn"
    }  # fmt: skip
    item = answer.data["items"][0]
    assert (item["item_id"], item["position"], item["price"], item["category"]) == ("print-0042", 1, "24.00", "prints")


def test_pages(call: Call, prints: list[Item]) -> None:
    whole = call("GET", "/search?q=harbour&limit=100")
    assert whole.data["total"] == len(ids(whole)) == 13
    parts = [call("GET", f"/search?q=harbour&limit=5&offset={offset}") for offset in (0, 5, 10)]
    assert [item_id for part in parts for item_id in ids(part)] == ids(whole)
    assert [item["position"] for item in parts[1].data["items"]] == [6, 7, 8, 9, 10]
    assert ids(call("GET", "/search?q=harbour&offset=1000")) == []


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("category=posters", {f"harbour-{n:02d}" for n in range(12)}),
        ("category=books", set()),
        ("category=prints&creator=Ada&max_price=4", {"harbour-00", "harbour-02"}),
        ("min_price=11.5", {"harbour-11", "print-0042"}),
        ("creator=Ada&in_stock=true&attribute=paper:matt&attribute=signed:yes", {"harbour-08", "harbour-10"}),
        ("attribute=paper:matt&attribute=paper:glossy&max_price=2", {"harbour-00", "harbour-01"}),
    ],
)
def test_filters(call: Call, prints: list[Item], filters: str, found: set[str]) -> None:
    answer = call("GET", f"/search?q=harbour&{filters}")
    assert set(ids(answer)) == found
    assert answer.data["total"] == len(found)


def test_facets_count_what_a_choice_would_leave(call: Call, prints: list[Item]) -> None:
    facets = {facet["name"]: facet["choices"] for facet in call("GET", "/search?q=harbour").data["facets"]}
    assert set(facets) == {"category", "creator", "price", "in_stock", "a.paper", "a.signed"}
    for choice in facets["category"]:
        assert call("GET", f"/search?q=harbour&category={choice['value']}").data["total"] == choice["count"]
    chosen = {choice["value"]: choice["chosen"] for choice in facets["creator"]}
    assert not any(chosen.values())


def test_sort(call: Call, prints: list[Item]) -> None:
    prices = [Decimal(item["price"]) for item in call("GET", "/search?q=harbour&sort=price-down").data["items"]]
    assert prices == sorted(prices, reverse=True)


def test_mended_and_left_out_words(call: Call, prints: list[Item]) -> None:
    answer = call("GET", "/search?q=harbuor xylophone")
    assert answer.data["corrected"] == {"harbuor": "harbour"}
    assert (answer.data["dropped"], answer.data["tier"]) == (["xylophone"], "some")


def test_the_loop_is_closed(call: Call, prints: list[Item]) -> None:
    answer = call("GET", "/search?q=harbour").data
    item = answer["items"][2]
    sent = event(item_id=item["item_id"], kind="click", value=None) | {"position": item["position"]}
    call("POST", "/events", sent | {name: answer[name] for name in ("rec_id", "shelf")}, scope="ingest")
    stored = Event.objects.get()
    assert (str(stored.rec_id), stored.shelf, stored.position) == (answer["rec_id"], "search", 3)


def test_taste(call: Call, learned: Run) -> None:
    Item.objects.update(description="postcard", title="Untitled", category=None)
    for user_id, best in (("customer-1", {"print-0042", "print-0043"}), ("customer-2", {"poster-1", "book-1"})):
        answer = call("GET", f"/search?q=postcard&user_id={user_id}")
        assert set(ids(answer)[:2]) == best
        assert answer.data["run_id"] == learned.pk
    assert call("GET", "/search?q=postcard&session_id=nobody").data["run_id"] is None


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/search", 422),
        ("/search?q=", 422),
        ("/search?q=x&limit=0", 422),
        ("/search?q=x&limit=101", 422),
        ("/search?q=x&offset=-1", 422),
        ("/search?q=x&sort=best", 422),
        ("/search?q=x&min_price=cheap", 422),
        ("/search?q=x&min_price=NaN", 422),
        ("/search?q=x&min_price=-1", 422),
        ("/search?q=x&attribute=paper", 422),
        ("/search?q=x&user_id=a&session_id=b", 422),
        ("/search?q=x&category=none", 404),
        ("/search?q=x&category=%00", 404),
        ("/search?q=x&" + "&".join(f"creator=c{n}" for n in range(30)), 422),
        ("/search/suggest?q=%20", 200),
        ("/search?q=%00%22AND(", 200),
        ("/search?q=%F0%9F%98%80", 200),
        ("/search?q=" + "x" * 5000, 200),
        ("/search?q=x&creator=%00&attribute=%00:%00", 200),
    ],
)
def test_every_request_is_answered_plainly(call: Call, shop: list[Item], path: str, status: int) -> None:
    assert call("GET", path).status_code == status


def test_keys(call: Call, shop: list[Item]) -> None:
    for path in ("/search?q=x", "/search/suggest?q=x"):
        assert call("GET", path, scope=None).status_code == 401
        assert call("GET", path, scope="ingest").status_code == 403


def test_suggestions(call: Call, prints: list[Item]) -> None:
    Item.objects.filter(pk="book-1").update(creator="Harriet Dale")
    offers = call("GET", "/search/suggest?q=har", scope="read").data["suggestions"]
    assert {"kind": "creator", "text": "Harriet Dale", "item_id": None, "category": None} in offers
    assert any(offer["kind"] == "title" and offer["item_id"].startswith("harbour") for offer in offers)
    offers = call("GET", "/search/suggest?q=post").data["suggestions"]
    assert {"kind": "category", "text": "Posters", "item_id": None, "category": "posters"} in offers
