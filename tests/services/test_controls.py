"""What visitors decide: each decision shows on the next page, by number, and can be taken back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recommender.models import Answer, CartLine, Control, Event, Experiment, Item, Order, Variant, Visitor
from recommender.services import controls, events, histories, orders, people, serving
from recommender.services.errors import InvalidInput
from recommender.services.experiments import assignment
from tests.services.conftest import HILL, SEA, at_once, item_ids

pytestmark = [pytest.mark.django_db, pytest.mark.database]

SEA_TOPIC, HILL_TOPIC = "category:sea", "category:hill"


@pytest.fixture(autouse=True)
def unexplored(settings: Any) -> None:
    """Nothing is drawn by chance, so that two pages can be compared."""
    settings.RECOMMENDER = {**settings.RECOMMENDER, "serving": {"explore": 0.0}}


@pytest.fixture
def sailor(live: Any, guest: Visitor, shop: dict[str, Item]) -> Visitor:
    """Someone who likes the sea, and looked at a hill once."""
    day = timezone.now() - timedelta(days=1)
    for hour, item_id in enumerate(["hill-08", "sea-00", "sea-01", "sea-02"]):
        events.record(guest, shop[item_id], "like", occurred_at=day + timedelta(hours=hour))
    return guest


def page(visitor_id: str | None, n: int = 8) -> list[str]:
    return [entry.item.pk for entry in serving.recommend(visitor_id, n).entries]


def told(visitor_id: str | None, n: int = 8) -> Any:
    """All that an answer says, but for its own number."""
    shelf = serving.recommend(visitor_id, n)
    entries = [(entry.item.pk, entry.position, entry.score, entry.reason) for entry in shelf.entries]
    return shelf.name, shelf.title, shelf.tier, shelf.run_id, shelf.variant, entries


def share(shown: list[str], group: str) -> float:
    return sum(item_id.startswith(group) for item_id in shown) / len(shown)


def reasons(visitor_id: str, n: int = 8) -> str:
    return " | ".join(entry.reason for entry in serving.recommend(visitor_id, n).entries)


# Topics -------------------------------------------------------------------------------------------------------------


def test_a_disliked_topic_leaves_the_next_page(sailor):
    before = share(page(sailor.pk), SEA)
    controls.dislike_topic(sailor, SEA_TOPIC)
    after = page(sailor.pk)
    assert before >= 0.5 and after
    assert share(after, SEA) <= 0.2 * before


def test_a_disliked_department_takes_its_categories_with_it(sailor):
    before = share(page(sailor.pk), SEA)
    controls.dislike_topic(sailor, "category:nature")
    assert share(page(sailor.pk), SEA) <= 0.2 * before


def test_a_disliked_creator_leaves_the_next_page(sailor):
    Item.objects.filter(pk__in=item_ids(SEA)[3:7]).update(creator="A. Marsh")
    before = set(page(sailor.pk)) & set(item_ids(SEA)[3:7])
    controls.dislike_topic(sailor, "creator:A. Marsh")
    assert len(before) >= 2 and not set(page(sailor.pk)) & set(item_ids(SEA)[3:7])


def test_more_of_a_topic_is_shown_and_less_of_it(sailor):
    usual = share(page(sailor.pk), HILL)
    controls.set_topic(sailor, HILL_TOPIC, 1)
    controls.set_topic(sailor, SEA_TOPIC, -0.5)
    assert share(page(sailor.pk), HILL) > usual


@pytest.mark.parametrize(
    ("topics", "factor"),
    [
        ({}, 1),
        ({SEA_TOPIC: -1}, 0),
        ({SEA_TOPIC: -0.5}, 0.5),
        ({SEA_TOPIC: 1}, 2),
        ({"category:nature": -1}, 0),
        ({"category:nature": -1, SEA_TOPIC: 0.5}, 1.5),
        ({"creator:A": -1, SEA_TOPIC: 1}, 0),
        ({"creator:A": 1, SEA_TOPIC: 1}, 2),
        ({"creator:A": 0.5, SEA_TOPIC: -0.5}, 0.75),
        ({HILL_TOPIC: -1, "creator:B": -1}, 1),
    ],
)
def test_the_factor_of_an_item(topics, factor):
    assert controls.Controls(topics=topics).factor("sea", "nature", "A") == factor
    assert controls.Controls(topics=topics, personalised=False).factor("sea", "nature", "A") == 1


def test_factors_are_those_of_each_item(items):
    items["sea-00"].creator = "A"
    some = [items["sea-00"], items["hill-00"], Item(id="bare", title="Without a category")]
    wishes = controls.Controls(topics={"category:nature": 0.5, "creator:A": -0.5})
    assert wishes.factors(some).tolist() == [0.75, 1, 1] and wishes.factors(some).dtype == np.float32
    assert controls.DEFAULT.factors(some).tolist() == [1, 1, 1]


def test_a_weight_of_zero_is_no_wish(guest, items):
    controls.set_topic(guest, SEA_TOPIC, 0.5)
    assert controls.set_topic(guest, SEA_TOPIC, 0).topics == {}


@pytest.mark.parametrize("weight", [1.01, -2, float("nan"), float("inf"), True, None, "1"])
def test_a_weight_is_checked(guest, items, weight):
    with pytest.raises(InvalidInput):
        controls.set_topic(guest, SEA_TOPIC, weight)
    assert controls.read(guest.pk) == controls.DEFAULT


@pytest.mark.parametrize(
    "topic", ["", "sea", "category:", "category:nothing", "creator:", "creator:Nobody", "a\0", None]
)
def test_a_topic_is_one_of_the_shops(guest, items, topic):
    with pytest.raises(InvalidInput):
        controls.set_topic(guest, topic, 0.5)
    assert controls.read(guest.pk) == controls.DEFAULT


def test_a_topic_that_the_shop_no_longer_has_can_be_let_go(guest, items):
    controls.set_topic(guest, HILL_TOPIC, 1)
    Item.objects.filter(category="hill").delete()
    items["hill-00"].category.delete()
    assert controls.set_topic(guest, HILL_TOPIC, 0).topics == {}


def test_there_is_a_most_of_topics_and_of_ignored_items(guest, items, monkeypatch):
    monkeypatch.setattr(controls, "MAX_TOPICS", 1)
    monkeypatch.setattr(controls, "MAX_IGNORED", 1)
    controls.set_topic(guest, SEA_TOPIC, 0.5)
    controls.ignore(guest, "sea-00")
    with pytest.raises(InvalidInput):
        controls.set_topic(guest, HILL_TOPIC, 0.5)
    with pytest.raises(InvalidInput):
        controls.ignore(guest, "sea-01")
    assert controls.set_topic(guest, SEA_TOPIC, -1).topics == {SEA_TOPIC: -1}


# Items and reasons --------------------------------------------------------------------------------------------------


def test_a_disliked_item_is_not_shown(sailor, shop):
    first = page(sailor.pk)[0]
    events.record(sailor, shop[first], "dislike")
    assert first not in page(sailor.pk, 100)
    assert histories.read(sailor.pk).disliked == {first} and controls.disliked(sailor.pk, controls.DEFAULT) == [first]
    assert controls.bring_back(sailor, first) == 1
    assert first in page(sailor.pk, 100)


def test_the_last_opinion_counts(guest, shop, settings):
    start = timezone.now() - timedelta(hours=1)
    for minute, (item_id, kind) in enumerate(
        [("sea-00", "dislike"), ("sea-01", "like"), ("sea-00", "like"), ("sea-01", "dislike"), ("sea-02", "dislike")]
    ):
        events.record(guest, shop[item_id], kind, occurred_at=start + timedelta(minutes=minute))
    assert histories.read(guest.pk).disliked == {"sea-01", "sea-02"}
    assert controls.disliked(guest.pk, controls.DEFAULT) == ["sea-02", "sea-01"]
    settings.RECOMMENDER = {**settings.RECOMMENDER, "history_length": 1}  # older opinions count too
    assert histories.read(guest.pk).disliked == {"sea-01", "sea-02"}


def test_an_ignored_item_is_no_reason_any_more(sailor):
    before = page(sailor.pk)
    assert any(f"Sea 0{number}" in reasons(sailor.pk) for number in range(3))
    for item_id in ("sea-00", "sea-01", "sea-02"):
        controls.ignore(sailor, item_id)
    after = reasons(sailor.pk)
    assert not any(f"Sea 0{number}" in after for number in range(3))
    assert page(sailor.pk) != before and share(page(sailor.pk), SEA) < share(before, SEA)


def test_an_ignored_item_stays_known_and_says_nothing_even_when_it_is_liked_again(guest, shop):
    events.record(guest, shop["sea-00"], "view")
    events.record(guest, shop["hill-00"], "view")
    wishes = controls.ignore(guest, "sea-00")
    events.record(guest, shop["sea-00"], "like")
    past = histories.read(guest.pk, wishes)
    assert past.item_ids == ["hill-00"] and past.known == {"sea-00", "hill-00"}
    assert histories.read(guest.pk, controls.ignore(guest, "sea-00", on=False)).item_ids.count("sea-00") == 2


def test_a_history_of_ignored_items_alone_is_none(guest, shop):
    events.record(guest, shop["sea-00"], "view")
    past = histories.read(guest.pk, controls.ignore(guest, "sea-00"))
    assert not past and past.known == {"sea-00"} and len(past.weights) == 0


@pytest.mark.parametrize("item_id", ["nothing", "", "a\0", None])
def test_what_is_ignored_is_an_item(guest, items, item_id):
    with pytest.raises(InvalidInput):
        controls.ignore(guest, item_id)


# Reset, personal or not ---------------------------------------------------------------------------------------------


def test_after_a_reset_a_visitor_is_a_newcomer(sailor, live):
    controls.set_topic(sailor, HILL_TOPIC, 1)
    controls.ignore(sailor, "sea-00")
    before = told(sailor.pk)
    wishes = controls.reset(sailor)
    assert (wishes.topics, wishes.ignored) == ({}, frozenset())
    assert told(sailor.pk) == told(people.new_guest_id()) != before
    assert not histories.read(sailor.pk).known
    controls.undo(sailor)
    assert told(sailor.pk) == before


def test_after_a_reset_what_is_done_counts(sailor, shop):
    controls.reset(sailor)
    events.record(sailor, shop["hill-03"], "like")
    assert histories.read(sailor.pk).item_ids == ["hill-03"]
    assert page(sailor.pk)[0].startswith(HILL) and "Hill 03" in reasons(sailor.pk) and "Sea 0" not in reasons(sailor.pk)


def test_without_personalisation_a_visitor_gets_what_a_stranger_gets_and_nothing_of_theirs_is_read(sailor, shop):
    controls.set_topic(sailor, SEA_TOPIC, -1)
    experiment = Experiment.objects.create(name="lists", status="running", started_at=timezone.now())
    for name in ("usual", "mixed"):
        Variant.objects.create(experiment=experiment, name=name, control=name == "usual")
    assignment.forget()
    before = told(sailor.pk)
    assert "lists/" in str(before)
    wishes = controls.personalised(sailor, False)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        shown = told(sailor.pk)
        assert not histories.read(sailor.pk, wishes)
    assert shown == told(None) != before
    assert not [query["sql"] for query in asked if Event._meta.db_table in query["sql"]]
    controls.personalised(sailor, True)
    assert told(sailor.pk) == before


# Private mode -------------------------------------------------------------------------------------------------------


def test_in_private_mode_nothing_is_recorded_and_the_next_page_is_as_before(sailor, shop, settings):
    before, count = told(sailor.pk), Event.objects.count()
    controls.private(sailor, True)
    assert not events.record(sailor, shop["hill-03"], "like")
    assert not events.record_view(sailor.pk, shop["hill-04"], events.NO_SOURCE)
    assert events.record_impressions(sailor.pk, [{"item": "hill-05"}]) == 0
    orders.add(sailor, shop["hill-06"], 1)
    orders.place(sailor, orders.Address("A", "a@example.org", "Somewhere 1"))
    assert Order.objects.filter(visitor=sailor).exists() and not CartLine.objects.exists()
    assert Event.objects.count() == count and told(sailor.pk) == before
    controls.private(sailor, False)
    assert events.record(sailor, shop["hill-03"], "like")
    assert told(sailor.pk) != before


def test_a_batch_keeps_nothing_of_private_visitors_and_says_so(guest, items):
    ada, session = people.ensure("ada"), people.ensure("session:web-1")
    controls.private(ada, True)
    controls.private(session, True)
    rows = [
        {"event_id": f"00000000-0000-0000-0000-00000000000{place}", "kind": "view", "item_id": "sea-00", **who}
        for place, who in enumerate([{"user_id": "ada"}, {"session_id": "web-1"}, {"user_id": "bob"}])
    ]
    first, again = events.record_batch(rows), events.record_batch(rows)
    assert (first.accepted, first.duplicates, first.not_recorded, first.rejected) == (1, 0, 2, [])
    assert (again.accepted, again.duplicates, again.not_recorded) == (0, 1, 2)
    assert list(Event.objects.values_list("visitor_id", flat=True)) == ["bob"]


def test_a_guest_who_became_a_private_account_is_private(guest, account, items):
    people.merge(guest.pk, account)
    controls.private(account, True)
    assert not events.record(Visitor.objects.get(pk=guest.pk), items["sea-00"], "view")
    assert controls.private_among([guest.pk, account.pk, "nobody"]) == {account.pk}


def test_private_mode_that_is_on_stays_on_since_when_it_was(guest):
    since = controls.private(guest, True).private_since
    assert since and controls.private(guest, True).private_since == since
    assert controls.private(guest, False) == controls.DEFAULT


# Forgetting a visit -------------------------------------------------------------------------------------------------


def visit(visitor: Visitor, items: dict[str, Item], *minutes_ago: int) -> None:
    for place, minutes in enumerate(minutes_ago):
        at = timezone.now() - timedelta(minutes=minutes)
        events.record(visitor, items[f"sea-0{place}"], "view", occurred_at=at)


@pytest.mark.parametrize(
    ("minutes_ago", "left"),
    [((200, 100, 90, 61, 40, 20, 1), 1 + 0), ((300, 200, 29, 5), 2), ((45, 40), 2), ((), 0), ((3,), 0)],
)
def test_the_present_visit_is_forgotten_and_no_other(guest, items, minutes_ago, left):
    visit(guest, items, *minutes_ago)
    assert controls.forget_session(guest) == len(minutes_ago) - left
    assert Event.objects.filter(visitor=guest).count() == left


def test_in_private_mode_the_visit_before_it_is_forgotten(guest, items):
    visit(guest, items, 400, 130, 120)
    controls.private(guest, True)
    Control.objects.update(private_since=timezone.now() - timedelta(minutes=110))
    assert controls.forget_session(guest) == 2


def test_everything_since_a_moment_is_forgotten_but_orders(guest, items):
    visit(guest, items, 300)
    orders.add(guest, items["sea-05"], 1)
    order = orders.place(guest, orders.Address("A", "a@example.org", "Somewhere 1"))
    for name, minutes in ((guest.pk, 5), (guest.pk, 400), ("ada", 5)):
        at = timezone.now() - timedelta(minutes=minutes)
        Answer.objects.create(rec_id=f"{minutes:032x}" if name != "ada" else "f" * 32, visitor_id=name, at=at)
    assert controls.forget_session(guest, timezone.now() - timedelta(minutes=10)) == 2  # the cart and the purchase
    assert list(Event.objects.values_list("kind", flat=True)) == ["view"]
    assert order.lines.count() == 1 and Answer.objects.count() == 2
    assert histories.read(guest.pk).item_ids == ["sea-00"]


@pytest.mark.parametrize("since", [datetime(2026, 1, 1), datetime(2999, 1, 1, tzinfo=UTC)])
def test_a_moment_to_forget_from_is_checked(guest, since):
    with pytest.raises(InvalidInput):
        controls.forget_session(guest, since)


# Undo, merging, erasing ---------------------------------------------------------------------------------------------


def test_every_change_can_be_taken_back_in_turn(guest, items):
    states = [controls.read(guest.pk)]
    for change in (
        lambda: controls.set_topic(guest, SEA_TOPIC, 0.5),
        lambda: controls.dislike_topic(guest, SEA_TOPIC),
        lambda: controls.ignore(guest, "sea-00"),
        lambda: controls.private(guest, True),
        lambda: controls.personalised(guest, False),
        lambda: controls.reset(guest),
    ):
        assert change() == controls.read(guest.pk) != states[-1]
        states.append(controls.read(guest.pk))
    names = []
    while said := controls.undo(guest):
        names.append(said)
        states.pop()
        assert controls.read(guest.pk) == states[-1]
    assert len(states) == 1 and len(set(names)) == 5
    assert names[-1] == "the wish about Sea" and "Sea 00" in names[3]


def test_a_change_that_changes_nothing_needs_no_undo(guest, items):
    controls.personalised(guest, True)
    controls.set_topic(guest, SEA_TOPIC, 0.5)
    controls.set_topic(guest, SEA_TOPIC, 0.5)
    assert controls.undo(guest) and controls.undo(guest) == ""


def test_undo_remembers_so_many_steps(guest, items, monkeypatch):
    monkeypatch.setattr(controls, "MAX_UNDO", 3)
    for number in range(6):
        controls.set_topic(guest, SEA_TOPIC, number / 10)
    assert [bool(controls.undo(guest)) for _ in range(4)] == [True, True, True, False]
    assert controls.read(guest.pk).topics == {SEA_TOPIC: 0.2}


def test_a_guest_keeps_their_wishes_on_logging_in_unless_the_account_has_its_own(guest, account, items):
    controls.dislike_topic(guest, SEA_TOPIC)
    people.merge(guest.pk, account)
    assert controls.read(account.pk).topics == {SEA_TOPIC: -1} and controls.read(guest.pk) == controls.DEFAULT
    other = people.ensure(people.new_guest_id())
    controls.dislike_topic(other, HILL_TOPIC)
    people.merge(other.pk, account)
    assert controls.read(account.pk).topics == {SEA_TOPIC: -1}


def test_wishes_go_with_their_visitor(guest, items):
    controls.dislike_topic(guest, SEA_TOPIC)
    guest.delete()
    assert not Control.objects.exists()


def test_reading_costs_one_query_and_a_stranger_none(guest, django_assert_num_queries, shop):
    events.record(guest, shop["sea-00"], "view")
    wishes = controls.dislike_topic(guest, SEA_TOPIC)
    with django_assert_num_queries(0):
        assert controls.read(None) is controls.read("") is controls.DEFAULT
    with django_assert_num_queries(1):
        assert controls.read(guest.pk) == wishes
    with django_assert_num_queries(1):
        assert histories.read(guest.pk, wishes)
    assert controls.read("nobody") is controls.DEFAULT


@pytest.mark.django_db(transaction=True)
def test_two_changes_at_once_are_both_kept(guest, items):
    changes = [lambda: controls.set_topic(guest, SEA_TOPIC, 0.5), lambda: controls.ignore(guest, "sea-00")]
    assert not [result for result in at_once(*changes) if isinstance(result, Exception)]
    kept = controls.read(guest.pk)
    assert (kept.topics, kept.ignored) == ({SEA_TOPIC: 0.5}, {"sea-00"})
