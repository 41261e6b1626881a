"""Picks of a new shopper: who is asked what, what becomes of it, and taking it back."""

import pytest

from recommender.models import Event, Item, Run, Visitor
from recommender.services import events, serving, tastes
from recommender.services.errors import InvalidInput
from tests.services.conftest import HILL, SEA, item_ids

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_choices_are_of_all_sorts_known_and_never_twice(live: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tastes, "OFFERED", 6)
    pages = [tastes.choices(number) for number in (1, 2, 3, 4)]
    assert [more for _, more in pages] == [True, True, True, False]
    shown = [item.pk for items, _ in pages for item in items]
    assert len(shown) == len(set(shown)) == 20
    for items, _ in pages[:3]:
        assert {item.pk.split("-")[0] for item in items} == {SEA, HILL}
    assert [item.pk for item in tastes.choices(1)[0]] == [item.pk for item in pages[0][0]]
    assert tastes.choices(5) == ([], False)


def test_an_empty_shop_has_nothing_to_choose_from(db: None) -> None:
    assert tastes.choices() == ([], False)


def test_a_shop_without_a_model_has_choices_too(shop: dict[str, Item]) -> None:
    items, more = tastes.choices()
    assert {item.pk for item in items} == set(shop) and not more


@pytest.mark.parametrize("group", [SEA, HILL])
def test_three_picks_of_one_taste_give_a_page_of_that_taste(live: Run, guest: Visitor, group: str) -> None:
    assert tastes.pick(guest, item_ids(group)[2:5]) == 3
    shelf = serving.recommend(guest.pk, 3)
    assert shelf.tier == "model"
    assert {entry.item.pk.split("-")[0] for entry in shelf.entries} == {group}
    assert all(entry.reason.startswith("Because you liked") for entry in shelf.entries)


def test_fewer_than_enough_are_refused_and_nothing_is_noted(live: Run, guest: Visitor) -> None:
    for few in ([], ["sea-00"], ["sea-00", "sea-00", "no such item"], ["sea-00", "sea-01"]):
        with pytest.raises(InvalidInput):
            tastes.pick(guest, few)
    assert not Event.objects.filter(visitor=guest).exists()
    tastes.pick(guest, item_ids(SEA)[:3])
    assert tastes.pick(guest, ["hill-00", "sea-00"]) == 1  # with those before, enough


def test_starting_again_takes_back_the_picks_and_nothing_else(live: Run, guest: Visitor, shop: dict[str, Item]) -> None:
    events.record(guest, shop["sea-00"], "like")
    events.record(guest, shop["hill-00"], "view")
    before = set(Event.objects.filter(visitor=guest).values_list("pk", flat=True))
    assert tastes.pick(guest, ["sea-00", "sea-01", "sea-02"]) == 2  # one was liked before
    assert [item.pk for item in tastes.picked(guest.pk)] == ["sea-02", "sea-01"]
    assert tastes.start_again(guest.pk) == 2
    assert set(Event.objects.filter(visitor=guest).values_list("pk", flat=True)) == before
    assert tastes.start_again(guest.pk) == 0 and tastes.picked(guest.pk) == []
