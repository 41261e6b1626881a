"""What came of what was shown, against a count by hand."""

import random
from collections import Counter
from datetime import timedelta

import pytest

from recommender.models import Answer, Event, Item, Run
from recommender.services.experiments import outcomes
from recommender.services.experiments.comparing import Rate, lift
from tests.services.experiments.shown import ago, did, show

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def goods(db: None) -> list[str]:
    Item.objects.bulk_create(Item(id=f"i{n}", title=f"Item {n}") for n in range(6))
    return [f"i{n}" for n in range(6)]


@pytest.fixture
def runs(db: None) -> list[Run]:
    return [Run.objects.create(trainer="als", status="succeeded") for _ in range(2)]


def test_clicks_count_for_the_answer_that_they_name(goods: list[str], runs: list[Run]) -> None:
    older = show("v", goods[:3], ago(days=2), run=runs[0])
    newer = show("v", goods[:4], ago(hours=2), run=runs[1], shelf="similar")
    show("w", goods[:2], ago(hours=2), run=runs[1])
    did("impression", "v", "i0", older)
    did("view", "v", "i1", older)
    did("click", "v", "i1", older)  # the same click, told by the page and by its link
    did("view", "v", "i3", newer)
    did("view", "v", "i5", newer)  # was not shown
    did("view", "v", "i2", newer, flag="too-fast")
    found = outcomes.read()
    last, first = found.runs
    assert (first.run, first.counts.answers, first.counts.shown, first.counts.seen) == (runs[0], 1, 3, 1)
    assert (first.counts.clicks, first.counts.clicked) == (1, 1)
    assert (last.counts.answers, last.counts.clicks, last.counts.rate("click_rate")) == (2, 1, Rate(1, 2))
    assert last.before is first
    assert last.lift == lift(Rate(1, 2), Rate(1, 1))
    assert [(line.label, line.counts.answers, line.counts.clicks) for line in found.shelves] == [
        ("for-you", 2, 1), ("similar", 1, 1),
    ]  # fmt: skip
    assert [(line.label, line.counts.answers, line.counts.clicks) for line in found.places] == [
        ("1", 3, 0), ("2", 3, 1), ("3", 2, 0), ("4", 1, 1),
    ]  # fmt: skip
    assert outcomes.of_run(runs[0].pk) == first.counts
    assert found.total.answers == 3


def test_later_purchases_count_for_the_last_answer_within_a_day_that_showed_the_item(
    goods: list[str], runs: list[Run]
) -> None:
    for item_id, hours in (("i0", 30), ("i0", 20), ("i1", 20), ("i1", 3)):
        show("v", [item_id, "i5"], ago(hours=hours), run=runs[hours < 10], shelf=f"h{hours}")
    did("purchase", "v", "i0", occurred_at=ago(hours=2))  # for the one of 20 hours ago
    did("cart", "v", "i1", occurred_at=ago(hours=2))  # for the last
    did("purchase", "v", "i1", occurred_at=ago(hours=4))  # before the last was shown
    did("purchase", "v", "i2", occurred_at=ago(hours=2))  # was never shown
    did("purchase", "w", "i0", occurred_at=ago(hours=2))  # to somebody else
    found = {line.label: line.counts for line in outcomes.read().shelves}
    assert {name: (one.carts, one.purchases) for name, one in found.items()} == {
        "h30": (0, 0), "h20": (0, 2), "h3": (1, 0),
    }  # fmt: skip


def test_a_purchase_that_names_its_answer_counts_for_that_however_late(goods: list[str], runs: list[Run]) -> None:
    named = show("v", goods[:2], ago(days=3), run=runs[0], shelf="named")
    show("v", goods[:2], ago(hours=2), run=runs[1], shelf="last")
    did("purchase", "v", "i1", named)
    nameless = show("", goods[:2], ago(hours=2), shelf="nameless")
    did("cart", "v", "i1", nameless)
    found = {line.label: (line.counts.carts, line.counts.purchases) for line in outcomes.read().shelves}
    assert found == {"named": (0, 1), "last": (0, 0), "nameless": (1, 0)}


def test_it_agrees_with_a_count_by_hand(goods: list[str], runs: list[Run]) -> None:
    rng = random.Random(5)
    answers = [
        show(f"v{rng.randrange(5)}", rng.sample(goods, 3), ago(minutes=rng.randrange(60, 3000)), run=rng.choice(runs))
        for _ in range(60)
    ]
    events = [
        did(rng.choice(["cart", "purchase"]), f"v{rng.randrange(5)}", rng.choice(goods), occurred_at=ago(minutes=age))
        for age in range(0, 1600, 20)
    ]
    expected: Counter[tuple[int | None, str]] = Counter()
    credited: set[tuple[object, str, str]] = set()
    for event in events:
        could = [
            answer for answer in answers
            if answer.visitor_id == event.visitor_id and event.item_id in answer.items
            and timedelta(0) <= event.occurred_at - answer.at < timedelta(days=1)
        ]  # fmt: skip
        if could:
            last = max(could, key=lambda answer: answer.at)
            if (key := (last.pk, event.item_id, event.kind)) not in credited:
                credited.add(key)
                expected[last.run_id, event.kind] += 1
    found = {
        (line.run.pk, kind): count
        for line in outcomes.read().runs if line.run
        for kind, count in (("cart", line.counts.carts), ("purchase", line.counts.purchases))
    }  # fmt: skip
    assert found == {key: expected[key] for key in found}
    assert sum(found.values()) > 20


def test_nothing_shown_is_an_empty_answer() -> None:
    found = outcomes.read()
    assert not found
    assert (found.runs, found.shelves, found.places) == ([], [], [])
    assert outcomes.of_run(12).answers == 0
    assert Answer.objects.count() == Event.objects.count() == 0
