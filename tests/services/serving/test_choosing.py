"""What a visitor, the shop and the moment say of a list, whatever was learned."""

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from recommender.models import Item, Rule
from recommender.services import events, filtering, histories, people, rules, serving, trending
from recommender.services.serving import personal
from tests.services.conftest import item_ids

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def ids(shelf: serving.Shelf) -> list[str]:
    return [entry.item.pk for entry in shelf.entries]


@pytest.fixture
def sailor(live, guest, shop):
    events.record(guest, shop["sea-03"], "view")
    return guest


def rule(**values) -> Rule:
    made = Rule.objects.create(**{"name": values["action"], "enabled": True, **values})
    rules.forget()
    return made


def test_a_filter_leaves_what_it_is_true_of(sailor, shop):
    Item.objects.filter(pk__in=item_ids("sea")[5:]).update(price=30)
    shelf = serving.recommend(sailor.pk, 3, condition=filtering.parse("price > 20"))
    assert shelf.tier == "model" and set(ids(shelf)) <= set(item_ids("sea")[5:]) and len(ids(shelf)) == 3
    assert not serving.recommend(sailor.pk, 3, condition=filtering.parse("price > 1000"))


def test_what_is_bought_again_and_again_may_come_again(sailor, shop):
    events.record(sailor, shop["sea-04"], "purchase")
    assert "sea-04" not in ids(serving.recommend(sailor.pk, 19))
    Item.objects.filter(pk="sea-04").update(attributes={"bought_again": True})
    serving.forget()
    assert "sea-04" in ids(serving.recommend(sailor.pk, 19))


def test_a_shop_may_offer_what_was_bought(sailor, shop, settings):
    settings.RECOMMENDER = {**settings.RECOMMENDER, "serving": {"bought_once": False, "explore": 0}}
    events.record(sailor, shop["sea-04"], "purchase")
    assert "sea-04" in ids(serving.recommend(sailor.pk, 19))


def test_what_is_disliked_is_never_shown_even_if_bought_again(sailor, shop, settings):
    settings.RECOMMENDER = {**settings.RECOMMENDER, "serving": {"bought_once": False, "explore": 0}}
    events.record(sailor, shop["sea-04"], "purchase")
    events.record(sailor, shop["sea-04"], "dislike")
    assert "sea-04" not in ids(serving.recommend(sailor.pk, 19))
    assert "sea-04" not in ids(serving.recommend(sailor.pk, 19, category="sea"))


def test_rules_act_on_every_shelf_and_are_named(sailor):
    rule(action="exclude", condition='category = "sea"')
    for shelf in (
        serving.recommend(sailor.pk, 5),
        serving.popular(5, terms=serving.terms_of(sailor.pk, "popular")),
        serving.similar("sea-03", 5, terms=serving.terms_of(sailor.pk, "similar")),
    ):
        assert len(ids(shelf)) == 5 and all(item_id.startswith("hill") for item_id in ids(shelf))
    rules.forget()
    Rule.objects.all().delete()
    rule(action="pin", condition='id = "hill-07"', position=2, name="Week of the hills")
    second = serving.recommend(sailor.pk, 5).entries[1]
    assert (second.item.pk, second.rules) == ("hill-07", ("Week of the hills",))


def test_a_pin_brings_what_no_source_named(sailor, shop):
    new = Item.objects.create(id="new", title="New", category_id="hill", price=1)
    rule(action="pin", condition='id = "new"', position=1)
    shelf = serving.recommend(sailor.pk, 3)
    assert (ids(shelf)[0], shelf.entries[0].source) == ("new", "rule")
    Item.objects.filter(pk=new.pk).update(stock=0)
    assert "new" not in ids(serving.recommend(sailor.pk, 3))


def test_a_rule_for_another_shelf_does_not_act(sailor):
    rule(action="exclude", condition='category = "sea"', shelf="popular")
    assert all(item_id.startswith("sea") for item_id in ids(serving.recommend(sailor.pk, 3)))


def test_one_odd_look_does_not_take_over_the_page(live, guest, shop, settings):
    settings.RECOMMENDER = {**settings.RECOMMENDER, "serving": {"explore": 0, "per_category": 1, "diversity": 0}}
    for step in range(4):
        at = timezone.now() - timedelta(minutes=10 - step)
        events.record(guest, shop[f"hill-0{step}"], "view", occurred_at=at)
    before = ids(serving.recommend(guest.pk, 6))
    assert before[:3] == [item_id for item_id in before[:3] if item_id.startswith("hill")]
    events.record(guest, shop["sea-05"], "view")
    after = ids(serving.recommend(guest.pk, 6))
    assert sum(item_id.startswith("sea") for item_id in after) <= 3


def test_one_place_is_left_to_chance_and_its_chance_is_told(sailor, settings):
    settings.RECOMMENDER = {**settings.RECOMMENDER, "serving": {"explore": 1}}
    drawn = [entry for _ in range(12) for entry in serving.recommend(sailor.pk, 6).entries if entry.chance is not None]
    assert len(drawn) == 12 and all(0 < entry.chance < 1 and entry.position > 3 for entry in drawn)
    assert len({entry.item.pk for entry in drawn}) > 1


def test_answers_to_the_same_question_differ_by_chance_alone(sailor):
    assert len({tuple(ids(serving.recommend(sailor.pk, 6))) for _ in range(3)}) == 1


def test_what_is_sold_out_has_substitutes_of_its_kind_first(live, shop):
    Item.objects.filter(pk="sea-03").update(stock=0)
    shelf = serving.substitutes("sea-03", 4)
    assert shelf.name == "substitutes" and "sea-03" not in ids(shelf)
    assert len(ids(shelf)) == 4 and all(item_id.startswith("sea") for item_id in ids(shelf))


def test_why_names_what_was_done_and_how_much_it_counts(live, guest, shop):
    events.record(guest, shop["sea-03"], "purchase")
    events.record(guest, shop["hill-03"], "view")
    first = ids(serving.recommend(guest.pk, 1))[0]
    found = serving.why(guest.pk, first)
    assert found.exact and found.shares[0].item_id == "sea-03" and found.shares[0].verb == "bought"
    assert sum(part.share for part in found.shares) == pytest.approx(1, abs=0.01)
    assert found.shares[0].share > 0.5
    assert serving.why("nobody", first).shares == []


def test_without_a_database_the_list_on_disk_serves(sailor, monkeypatch):
    trending.refresh()

    def away(*args, **kwargs):
        raise OperationalError("gone")

    monkeypatch.setattr(personal, "live", away)
    shelf = serving.recommend(sailor.pk, 3)
    assert (shelf.tier, len(ids(shelf))) == ("disk", 3) and shelf.entries[0].item.title
    assert "sea-00" not in ids(serving.recommend(sailor.pk, 3, exclude=["sea-00"]))


def test_a_visitor_who_left_and_came_back_as_an_account_is_the_same(live, guest, account, shop):
    events.record(guest, shop["sea-03"], "view")
    people.merge(guest.pk, account)
    assert histories.read(account.pk) and ids(serving.recommend(account.pk, 3))[0].startswith("sea")


def test_a_boost_brings_in_a_part_of_a_list_at_most(sailor, shop):
    for number in range(12):
        Item.objects.create(id=f"new-{number}", title=f"New {number}", category_id="hill", price=1)
    rule(action="boost", condition='id contains "new-"', amount=50)
    shelf = serving.recommend(sailor.pk, 8)
    assert sum(entry.item.pk.startswith("new-") for entry in shelf.entries) == 2
    assert all(entry.rules == ("boost",) for entry in shelf.entries if entry.item.pk.startswith("new-"))
