"""Answers: from the latest events, true, never empty where something can be sold, and from one model at a time."""

import logging
import shutil
from datetime import timedelta

import pytest
from django.utils import timezone

from recommender.conf import conf
from recommender.engine.model import LiveModel
from recommender.models import Event, Item, Run
from recommender.services import events, histories, people, publishing, reasons, serving
from recommender.services.errors import InvalidInput, UnknownItem
from recommender.services.serving import live_model
from tests.services.conftest import at_once, item_ids

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def ids(shelf: serving.Shelf) -> list[str]:
    return [entry.item.pk for entry in shelf.entries]


def groups(shelf: serving.Shelf) -> set[str]:
    return {item_id.split("-")[0] for item_id in ids(shelf)}


def counted_openings(monkeypatch) -> list:
    """Every artifact that is opened from here on."""
    opened, real = [], live_model.open_model
    monkeypatch.setattr(live_model, "open_model", lambda path: opened.append(path) or real(path))
    return opened


@pytest.fixture
def broken(live, monkeypatch) -> Run:
    """The model is live and opens, but every question to it fails."""

    def fail(*args, **kwargs):
        raise FloatingPointError("broken")

    for name in ("recommend", "similar", "together", "popular"):
        monkeypatch.setattr(LiveModel, name, fail)
    return live


@pytest.fixture
def damaged(live) -> Run:
    shutil.rmtree(conf().artifacts_dir / live.artifact)
    serving.forget()
    return live


def test_the_first_event_of_a_guest_changes_the_next_answer(live, guest, shop):
    assert serving.recommend(guest.pk).tier == "popular"
    events.record(guest, shop["sea-03"], "view")
    shelf = serving.recommend(guest.pk, 3)
    assert (shelf.tier, shelf.run_id, groups(shelf)) == ("model", live.pk, {"sea"})
    for step in range(3):
        events.record(guest, shop[f"hill-0{step}"], "purchase")
    assert ids(serving.recommend(guest.pk, 3))[0].startswith("hill")


def test_a_shelf_numbers_its_places_and_repeats_nothing(live, guest, shop):
    events.record(guest, shop["sea-03"], "view")
    for shelf in (
        serving.recommend(guest.pk, 100),
        serving.recommend(None, 100),
        serving.popular(100),
        serving.similar("sea-00", 100),
        serving.bought_together("sea-00", 100),
        serving.newest(100),
    ):
        assert shelf and len(set(ids(shelf))) == len(ids(shelf))
        assert [entry.position for entry in shelf.entries] == list(range(1, len(shelf.entries) + 1))


def test_two_answers_are_two_recommendations(live):
    assert serving.popular().rec_id != serving.popular().rec_id


@pytest.mark.parametrize("n", [1, 7, 16, 100])
def test_a_shelf_is_as_long_as_asked_for_or_as_the_shop_allows(live, guest, shop, n):
    events.record(guest, shop["sea-03"], "view")
    assert len(ids(serving.recommend(guest.pk, n))) == min(n, 19)
    assert len(ids(serving.popular(n))) == min(n, 20)


@pytest.mark.parametrize("n", [0, -1, 101, 10**9])
def test_a_shelf_has_bounds(live, n):
    for ask in (
        lambda: serving.recommend(None, n),
        lambda: serving.popular(n),
        lambda: serving.newest(n),
        lambda: serving.similar("sea-00", n),
    ):
        with pytest.raises(InvalidInput):
            ask()


@pytest.mark.parametrize("kind", ["view", "purchase", "like", "dislike", "cart", "click"])
def test_nothing_that_was_seen_is_recommended(live, guest, shop, kind):
    events.record(guest, shop["sea-03"], "view")
    for item_id in ("sea-04", "hill-00"):
        events.record(guest, shop[item_id], kind)
    assert not {"sea-03", "sea-04", "hill-00"} & set(ids(serving.recommend(guest.pk, 100)))


def test_what_was_seen_long_ago_is_not_recommended_either(live, guest, shop, settings):
    settings.RECOMMENDER = {**settings.RECOMMENDER, "history_length": 3}
    for item_id in item_ids("sea")[:6]:
        events.record(guest, shop[item_id], "view")
    assert len(histories.read(guest.pk).item_ids) == 3
    assert not set(item_ids("sea")[:6]) & set(ids(serving.recommend(guest.pk, 100)))


def test_a_page_that_merely_showed_an_item_says_nothing(live, guest):
    events.record_impressions(guest.pk, [{"item": "sea-03"}])
    shelf = serving.recommend(guest.pk, 100)
    assert shelf.tier == "popular" and "sea-03" in ids(shelf)


def test_excluded_items_are_left_out_everywhere(live, guest, shop):
    events.record(guest, shop["sea-03"], "view")
    out = {"sea-04", "sea-05", "hill-00"}
    for shelf in (
        serving.recommend(guest.pk, 100, exclude=out),
        serving.recommend(None, 100, exclude=out),
        serving.popular(100, exclude=out),
        serving.newest(100, exclude=out),
        serving.similar("sea-03", 100, exclude=out),
        serving.bought_together("sea-03", 100, exclude=out),
    ):
        assert shelf and not out & set(ids(shelf))


@pytest.mark.parametrize(("category", "group"), [("sea", "sea"), ("nature", "sea"), ("hill", "hill")])
def test_a_category_holds_its_own_and_its_childrens_items_only(live, guest, shop, category, group):
    events.record(guest, shop["sea-03"], "view")
    for shelf in (
        serving.recommend(guest.pk, 5, category=category),
        serving.recommend(None, 5, category=category),
        serving.popular(5, category=category),
        serving.newest(5, category=category),
    ):
        assert len(ids(shelf)) == 5 and groups(shelf) == {group}


def test_an_unknown_category_is_an_empty_shelf(live, guest, shop):
    events.record(guest, shop["sea-03"], "view")
    assert not serving.recommend(guest.pk, category="none") and not serving.popular(category="none")


@pytest.mark.parametrize("values", [{"active": False}, {"stock": 0}], ids=str)
def test_what_cannot_be_sold_any_more_disappears_at_once(live, guest, shop, values):
    events.record(guest, shop["sea-03"], "view")
    before = ids(serving.recommend(guest.pk, 3))
    Item.objects.filter(pk__in=before).update(**values)
    after = serving.recommend(guest.pk, 3)
    assert len(ids(after)) == 3 and not set(before) & set(ids(after))
    for shelf in (serving.popular(100), serving.similar("sea-03", 100), serving.newest(100)):
        assert not set(before) & set(ids(shelf))


def test_the_reason_names_what_the_visitor_did(live, guest, shop):
    events.record(guest, shop["sea-03"], "purchase")
    events.record(guest, shop["hill-03"], "view")
    shelf = serving.recommend(guest.pk, 100)
    said = {entry.reason for entry in shelf.entries}
    assert said <= {"Because you bought Sea 03", "Because you looked at Hill 03", reasons.POPULAR}
    by_group = {entry.item.pk.split("-")[0]: entry.reason for entry in shelf.entries[:1]}
    assert by_group == {"sea": "Because you bought Sea 03"}


@pytest.mark.parametrize(("kind", "word"), [("like", "liked"), ("cart", "chose"), ("click", "looked at")])
def test_the_reason_uses_the_right_word(live, guest, shop, kind, word):
    events.record(guest, shop["sea-03"], kind)
    assert serving.recommend(guest.pk, 1).entries[0].reason == f"Because you {word} Sea 03"


def test_what_was_disliked_is_no_reason(live, guest, shop):
    events.record(guest, shop["sea-03"], "like")
    events.record(guest, shop["hill-03"], "dislike")
    shelf = serving.recommend(guest.pk, 100)
    assert shelf.tier == "model" and not any("Hill 03" in entry.reason for entry in shelf.entries)


def test_only_dislikes_say_nothing_to_go_by(live, guest, shop):
    events.record(guest, shop["sea-03"], "view")
    events.record(guest, shop["sea-03"], "dislike")  # outweighs the view
    shelf = serving.recommend(guest.pk, 100)
    assert shelf.tier == "popular" and "sea-03" not in ids(shelf)


def test_a_rating_that_was_replaced_does_not_count(live, guest, shop):
    for stars in (5, 5, 5, 1):
        events.record(guest, shop["sea-03"], "rating", value=stars)
    past = histories.read(guest.pk)
    assert past.item_ids == ["sea-03"] and past.weights.tolist() == [-4.0]
    assert serving.recommend(guest.pk).tier == "popular"


def test_history_is_the_latest_events_oldest_first(shop, guest):
    for days, item_id in ((3, "sea-00"), (1, "sea-01"), (2, "sea-02")):
        events.record(guest, shop[item_id], "view", occurred_at=timezone.now() - timedelta(days=days))
    past = histories.read(guest.pk)
    assert past.item_ids == ["sea-00", "sea-02", "sea-01"] and list(past.times) == sorted(past.times)
    assert not histories.read(None) and not histories.read("nobody")


def test_similar_items_come_from_the_same_taste(live):
    shelf = serving.similar("sea-03", 5)
    assert (shelf.tier, shelf.run_id, groups(shelf)) == ("similar", live.pk, {"sea"})
    assert "sea-03" not in ids(shelf)


def test_items_bought_together_come_from_the_same_baskets(live):
    shelf = serving.bought_together("sea-03", 100)
    assert shelf.tier == "together" and set(ids(shelf)) <= {f"sea-0{number}" for number in (0, 1, 2, 4, 5, 6)}


def test_an_item_that_the_model_does_not_know_falls_back_to_its_category(live):
    Item.objects.create(id="new", title="New", category_id="hill", price=1)
    shelf = serving.similar("new", 5)
    assert (shelf.name, shelf.tier, groups(shelf)) == ("similar", "popular", {"hill"})
    assert not serving.bought_together("new", 5)


@pytest.mark.parametrize("item_id", ["gone", "", "a\x00b", "\ud800"])
def test_nothing_is_similar_to_an_unknown_item(live, item_id):
    for ask in (serving.similar, serving.bought_together):
        with pytest.raises(UnknownItem):
            ask(item_id)


@pytest.mark.parametrize("visitor_id", [None, "", "nobody"])
def test_an_unknown_visitor_gets_what_is_popular(live, visitor_id):
    shelf = serving.recommend(visitor_id, 5)
    assert (shelf.tier, shelf.run_id, len(ids(shelf))) == ("popular", live.pk, 5)
    assert {entry.reason for entry in shelf.entries} == {reasons.POPULAR}


def test_without_a_model_the_event_table_serves(shop, guest):
    events.record(guest, shop["sea-03"], "view")
    shelf = serving.recommend(guest.pk, 100)
    assert (shelf.tier, shelf.run_id) == ("popular", None) and "sea-03" not in ids(shelf)
    assert serving.similar("sea-03", 5).tier == "popular"
    assert not serving.bought_together("sea-03")


def test_without_events_the_newest_items_serve(items):
    shelf = serving.recommend(None, 5)
    assert (shelf.tier, shelf.run_id, len(ids(shelf))) == ("catalogue", None, 5)


def test_the_first_event_shows_among_the_popular_at_once(items, guest):
    assert serving.popular().tier == "catalogue"
    events.record(guest, items["sea-05"], "view")
    assert ids(serving.popular()) == ["sea-05"]


def test_an_empty_shop_has_empty_shelves(db):
    for shelf in (serving.recommend(None), serving.recommend("guest:1"), serving.popular(), serving.newest()):
        assert not shelf and shelf.run_id is None


def test_a_shop_of_one_item_and_one_visitor_answers(db, guest):
    item = Item.objects.create(id="only", title="Only", price=1)
    assert ids(serving.recommend(guest.pk)) == ["only"]
    events.record(guest, item, "view")
    assert ids(serving.recommend(guest.pk)) == []
    assert ids(serving.recommend("somebody else")) == ["only"]


def test_a_model_that_fails_is_replaced_by_the_event_table(broken, guest, shop, caplog):
    events.record(guest, shop["sea-03"], "view")
    with caplog.at_level(logging.CRITICAL):
        for shelf in (serving.similar("sea-03", 5), serving.popular(5)):
            assert (shelf.tier, shelf.run_id, len(ids(shelf))) == ("popular", None, 5)
        shelf = serving.recommend(guest.pk, 5)  # its vectors are whole, so neighbours can be told
        assert (shelf.tier, shelf.run_id) == ("similar", broken.pk) and ids(shelf)[0].startswith("sea")
        assert not serving.bought_together("sea-03", 5)
        assert groups(serving.popular(5, category="hill")) == {"hill"}


def test_a_damaged_artifact_is_looked_at_once_not_for_every_request(damaged, guest, shop, monkeypatch):
    events.record(guest, shop["sea-03"], "view")
    opened = counted_openings(monkeypatch)
    for _ in range(3):
        shelf = serving.recommend(guest.pk, 5)
        assert (shelf.tier, shelf.run_id, len(ids(shelf))) == ("popular", None, 5)
    assert len(opened) == 1


def test_a_mended_artifact_serves_after_a_while(damaged, trained, monkeypatch):
    assert serving.live() == serving.Live(damaged.pk, None)
    shutil.copytree(trained, conf().artifacts_dir / damaged.artifact)
    assert serving.live().model is None
    now = live_model.time.monotonic()
    monkeypatch.setattr(live_model.time, "monotonic", lambda: now + live_model.OPEN_AGAIN_AFTER_S + 1)
    assert serving.live().model is not None


def test_the_next_request_takes_the_new_pointer(live, finished):
    assert serving.live().run_id == live.pk
    other = finished()
    publishing.publish(other.pk, "new")
    assert serving.live().run_id == other.pk
    publishing.roll_back("worse")
    assert serving.live().run_id == live.pk
    publishing.withdraw("none")
    assert serving.live() == serving.Live(None, None)


def test_a_request_that_holds_a_model_keeps_it_when_another_goes_live(live, finished, guest, shop):
    events.record(guest, shop["sea-03"], "view")
    held = serving.live()
    publishing.publish(finished().pk, "new")
    serving.recommend(guest.pk, 5)  # another request of this process opens the new model
    shelf = serving.recommend(guest.pk, 5, current=held)
    assert (shelf.tier, shelf.run_id) == ("model", live.pk)
    for shelf in (serving.popular(5, current=held), serving.similar("sea-03", 5, current=held)):
        assert shelf.run_id == live.pk


def test_a_model_is_opened_once_per_process(live, monkeypatch):
    opened = counted_openings(monkeypatch)
    for _ in range(3):
        serving.popular()
    assert len(opened) == 1


@pytest.mark.django_db(transaction=True)
def test_threads_that_ask_at_once_open_a_model_once(live, monkeypatch):
    opened = counted_openings(monkeypatch)
    results = at_once(*[serving.popular] * 4)
    assert len(opened) == 1 and {shelf.run_id for shelf in results} == {live.pk}


@pytest.mark.parametrize("n", [1, 100])
def test_queries_do_not_grow_with_the_answer(live, guest, shop, n, django_assert_max_num_queries):
    for item_id in item_ids("sea")[:5]:
        events.record(guest, shop[item_id], "view")
    serving.recommend(guest.pk, n)  # rules and experiments are read once in a while
    with django_assert_max_num_queries(5):  # pointer, wishes, history, items, titles of the reasons
        serving.recommend(guest.pk, n)
    with django_assert_max_num_queries(2):  # pointer, items
        serving.popular(n)
    with django_assert_max_num_queries(4):  # besides, the item that is asked about and its pictures
        serving.similar("sea-09", n)
    with django_assert_max_num_queries(6):  # besides, once in a while, the category's ids
        serving.recommend(guest.pk, n, category="sea")


def test_the_cards_of_a_shelf_need_no_more_queries(live, django_assert_num_queries):
    shelf = serving.popular(10)
    with django_assert_num_queries(0):
        assert [(entry.item.category.name, list(entry.item.pictures.all())) for entry in shelf.entries]


def test_serving_writes_nothing(live, guest, shop):
    events.record(guest, shop["sea-03"], "view")
    before = Event.objects.count()
    serving.recommend(guest.pk)
    serving.recommend("nobody")
    assert Event.objects.count() == before and people.ensure(guest.pk) == guest
