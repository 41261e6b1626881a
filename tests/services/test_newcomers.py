"""Items that the live model does not know: recommended by what they say as soon as they say it, and not too many."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from recommender.engine import model as model_module
from recommender.models import Item, Run, Visitor
from recommender.services import events, histories, newcomers, people, publishing, serving
from recommender.services.content import encoding, vectors
from recommender.services.serving import candidates
from tests.services.conftest import HILL, SEA, carried_out, item_ids

# The heartbeat writes on a connection of its own, so that what the test writes must be committed.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database, pytest.mark.usefixtures("quick_heart")]


def ids(shelf: serving.Shelf) -> list[str]:
    return [entry.item.pk for entry in shelf.entries]


def encode() -> None:
    row = encoding.run(encoding.request(changed_since_last=True).pk)
    assert row is not None and row.status == "succeeded"
    vectors.look_again()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "FRESH_S", 0.0)


@pytest.fixture
def mapped(shop: dict[str, Item]) -> Run:
    """The shop, encoded, with a model trained on it."""
    encode()
    run = carried_out("als")
    publishing.publish(run.pk, "for the tests")
    return run


@pytest.fixture
def sailor(guest: Visitor, shop: dict[str, Item]) -> Visitor:
    for item_id in item_ids(SEA)[:3]:
        events.record(guest, shop[item_id], "like")
    return guest


def add(item_id: str, title: str, **fields: Any) -> Item:
    return Item.objects.create(id=item_id, title=title, price=Decimal(10), **fields)


def test_a_run_says_how_well_it_finds_known_items_as_if_they_were_new(mapped: Run) -> None:
    figures = mapped.metrics["newcomers"]
    assert figures["useful"] and figures["items"] == 20
    assert figures["ndcg@20"] > figures["chance"]["ndcg@20"] + 0.1


def test_an_item_is_recommended_once_it_is_encoded_without_training(mapped: Run, sailor: Visitor) -> None:
    add("sea-new", "Sea 77")
    add("hill-new", "Hill 77")
    assert not {"sea-new", "hill-new"} & set(ids(serving.recommend(sailor.pk, 10)))  # nothing is known of them
    encode()
    shelf = serving.recommend(sailor.pk, 5)
    assert (shelf.tier, shelf.run_id) == ("model", mapped.pk)
    assert "sea-new" in ids(shelf) and "hill-new" not in ids(shelf)
    [entry] = [entry for entry in shelf.entries if entry.item.pk == "sea-new"]
    assert entry.reason.startswith("New, and close to Sea 0") and entry.reason.endswith("that you liked")
    assert len(set(ids(shelf))) == len(ids(shelf)) == 5
    assert [entry.position for entry in shelf.entries] == list(range(1, 6))


def test_the_catalogues_words_are_enough(shop: dict[str, Item], sailor: Visitor, settings: Any) -> None:
    settings.RECOMMENDER = {**settings.RECOMMENDER, "encoders": {}}
    publishing.publish(carried_out("als").pk, "for the tests")
    add("sea-new", "Seventy-seven", category_id=SEA)
    add("hill-new", "Seventy-eight", category_id=HILL)
    shelf = serving.recommend(sailor.pk, 5)
    assert "sea-new" in ids(shelf) and "hill-new" not in ids(shelf)


def test_newcomers_take_a_small_share_of_a_page(mapped: Run, sailor: Visitor) -> None:
    for number in range(30):
        add(f"sea-new-{number}", f"Sea {number + 40}", category_id=SEA)
    encode()
    for n in (1, 4, 5, 10):
        found = ids(serving.recommend(sailor.pk, n))
        assert len(found) == n
        assert sum(item_id.startswith("sea-new") for item_id in found) <= int(n * newcomers.SHARE)
    many = ids(serving.recommend(sailor.pk, 40))  # more than the model has to offer
    assert len(many) == 40 and len([i for i in many if i.startswith("sea-new")]) == 40 - 17


def test_newcomers_that_are_left_out_sold_out_or_put_away_are_not_shown(mapped: Run, sailor: Visitor) -> None:
    add("sea-out", "Sea 41", stock=0)
    add("sea-away", "Sea 42", active=False)
    seen = add("sea-seen", "Sea 43")
    add("sea-excluded", "Sea 44")
    add("hill-here", "Hill 45", category_id=HILL)
    encode()
    events.record(sailor, seen, "view")
    found = ids(serving.recommend(sailor.pk, 40, exclude={"sea-excluded"}))
    assert not {"sea-out", "sea-away", "sea-seen", "sea-excluded"} & set(found)
    found = ids(serving.recommend(sailor.pk, 40, category=HILL))
    assert "hill-here" in found and all(item_id.startswith("hill") for item_id in found)


def test_who_looked_at_newcomers_alone_gets_what_is_like_them(mapped: Run, guest: Visitor) -> None:
    events.record(guest, add("sea-new", "Sea 77"), "view")
    assert serving.recommend(guest.pk, 5).tier == "popular"
    encode()
    shelf = serving.recommend(guest.pk, 5)
    assert (shelf.tier, shelf.run_id) == ("content", None)
    assert all(item_id.startswith("sea") for item_id in ids(shelf))
    assert {entry.reason for entry in shelf.entries} == {"Close to Sea 77 that you looked at"}


def test_a_shop_without_a_model_goes_by_content(shop: dict[str, Item], sailor: Visitor) -> None:
    encode()
    shelf = serving.recommend(sailor.pk, 5)
    assert shelf.tier == "content" and all(item_id.startswith("sea") for item_id in ids(shelf))


def test_vectors_of_another_encoder_are_not_compared(mapped: Run, sailor: Visitor, settings: Any) -> None:
    add("sea-new", "Sea 77")
    on = {"text": {"name": "hashing", "config": {"dimension": 64}}, "image": None, "audio": None}
    settings.RECOMMENDER = {**settings.RECOMMENDER, "encoders": on}
    encode()
    found = serving.recommend(sailor.pk, 10)
    assert found.tier == "model" and "sea-new" not in ids(found)


def test_a_damaged_map_costs_newcomers_only(mapped: Run, sailor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    add("sea-new", "Sea 77")
    encode()

    def fail(*args: Any) -> None:
        raise FloatingPointError("broken")

    monkeypatch.setattr(newcomers, "of", fail)
    shelf = serving.recommend(sailor.pk, 10)
    assert shelf.tier == "model" and "sea-new" not in ids(shelf)


def test_nothing_is_placed_twice_while_nothing_changes(mapped: Run, sailor: Visitor) -> None:
    add("sea-new", "Sea 77")
    encode()
    model = serving.live().model
    assert isinstance(model, model_module.LiveModel)
    first = newcomers.of(model)
    assert first is not None and newcomers.of(model) is first
    add("sea-newer", "Sea 78")
    assert newcomers.of(model) is not first
    scores = first.placed.scores(model.query, candidates.told(model, histories.read(sailor.pk)))
    assert scores.shape == (1, 1) and np.isfinite(scores).all()


def test_three_picks_of_one_taste_give_a_page_of_that_taste(mapped: Run, shop: dict[str, Item]) -> None:
    for group in (SEA, HILL):
        newcomer = people.ensure(people.new_guest_id())
        for item_id in item_ids(group)[2:5]:
            events.record(newcomer, shop[item_id], "like")
        shelf = serving.recommend(newcomer.pk, 3)
        assert shelf.tier == "model" and all(item_id.startswith(group) for item_id in ids(shelf))
