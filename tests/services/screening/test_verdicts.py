"""What staff decide: states, the record, what the shop shows; undone where nobody decided since."""

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recommender.models import Decision, Event, Item, Order, Review, Verdict, Visitor
from recommender.services import reviews
from recommender.services.errors import InvalidInput
from recommender.services.screening import cases, consequences, holds, similar, verdicts

pytestmark = [pytest.mark.django_db, pytest.mark.database]

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob")


def verdict(subject: str, subject_id: str, probability: float = 0.8, **fields: Any) -> Verdict:
    visitor = fields.pop("visitor", None)
    row = Verdict.objects.create(
        subject=subject, subject_id=subject_id, probability=probability, kind=fields.pop("kind", "push"),
        visitor_id=visitor, **fields,
    )  # fmt: skip
    Decision.objects.create(verdict=row, action="find", before="", after=row.state, batch=uuid.uuid4())
    return row


@pytest.fixture
def profile(db: None) -> Callable[..., Verdict]:
    """profile("ann") -> the verdict about a visitor who is there."""

    def profile(name: str, **fields: Any) -> Verdict:
        Visitor.objects.get_or_create(id=name, kind="external")
        return verdict("profile", name, visitor=name, **fields)

    return profile


def states(*rows: Verdict) -> list[str]:
    found = dict(Verdict.objects.values_list("pk", "state"))
    return [found[row.pk] for row in rows]


# Deciding and undoing


@pytest.mark.parametrize(
    ("action", "state"), [("confirm", "confirmed"), ("release", "released"), ("quarantine", "quarantined")]
)
def test_a_decision_changes_the_state_and_is_on_record(profile: Any, ada: User, action: str, state: str) -> None:
    row = profile("ann")
    done = verdicts.decide([row.pk], action, ada, "  clear case ")
    assert (done.changed, done.already, done.missing) == (1, 0, 0)
    row.refresh_from_db()
    assert (row.state, row.decided_by) == (state, ada) and row.decided_at
    last = verdicts.history(row)[0]
    assert (last.action, last.before, last.after, last.by, last.note) == (action, "open", state, ada, "clear case")
    assert last.batch == done.batch


def test_what_is_so_already_or_gone_is_skipped_and_counted(profile: Any, ada: User) -> None:
    row, other = profile("ann", state="confirmed"), profile("ben")
    done = verdicts.decide([row.pk, other.pk, other.pk, 10**9], "confirm", ada)
    assert (done.changed, done.already, done.missing) == (1, 1, 1)
    assert Decision.objects.filter(batch=done.batch).count() == 1


@pytest.mark.parametrize("ids", [[], ["nope"], [None], [-1], [0], [2**70], range(1, verdicts.MOST_AT_ONCE + 2)])
def test_ids_that_are_none_are_refused(ids: Any, ada: User) -> None:
    with pytest.raises(InvalidInput):
        verdicts.decide(ids, "confirm", ada)


def test_unknown_actions_and_long_notes_are_refused_and_change_nothing(profile: Any, ada: User) -> None:
    row = profile("ann")
    for action, note in (("find", ""), ("delete", ""), ("", ""), ("confirm", "x" * 301)):
        with pytest.raises(InvalidInput):
            verdicts.decide([row.pk], action, ada, note)
    assert states(row) == ["open"] and Decision.objects.count() == 1


def test_undo_brings_each_back_to_its_own_state(profile: Any, ada: User, bob: User) -> None:
    rows = [profile("ann"), profile("ben", state="quarantined"), profile("cid", state="lapsed")]
    done = verdicts.decide([row.pk for row in rows], "confirm", ada)
    undone = verdicts.undo(done.batch, bob)
    assert (undone.changed, undone.kept) == (3, 0)
    assert states(*rows) == ["open", "quarantined", "lapsed"]
    rows[0].refresh_from_db()
    assert rows[0].decided_by is None and rows[0].decided_at is None
    assert [one.action for one in verdicts.history(rows[0])] == ["undo", "confirm", "find"]
    assert verdicts.history(rows[0])[0].by == bob


def test_undo_leaves_what_another_decided_since(profile: Any, ada: User, bob: User) -> None:
    rows = [profile("ann"), profile("ben")]
    done = verdicts.decide([row.pk for row in rows], "confirm", ada)
    verdicts.decide([rows[1].pk], "release", bob)
    undone = verdicts.undo(done.batch, ada)
    assert (undone.changed, undone.kept) == (1, 1) and states(*rows) == ["open", "released"]
    rows[1].refresh_from_db()
    assert rows[1].decided_by == bob


def test_undo_twice_does_nothing_and_undoing_an_undo_decides_again(profile: Any, ada: User, bob: User) -> None:
    row = profile("ann")
    done = verdicts.decide([row.pk], "confirm", ada)
    undone = verdicts.undo(done.batch, ada)
    assert verdicts.undo(done.batch, ada).changed == 0 and states(row) == ["open"]
    assert verdicts.undo(undone.batch, bob).changed == 1 and states(row) == ["confirmed"]
    row.refresh_from_db()
    assert row.decided_by == ada  # who chose it, not who undid the undoing


def test_undo_restores_who_had_decided_before(profile: Any, ada: User, bob: User) -> None:
    row = profile("ann")
    verdicts.decide([row.pk], "release", ada)
    row.refresh_from_db()
    at = row.decided_at
    verdicts.undo(verdicts.decide([row.pk], "confirm", bob).batch, bob)
    row.refresh_from_db()
    assert (row.state, row.decided_by, row.decided_at) == ("released", ada, at)


@pytest.mark.parametrize("batch", ["nope", str(uuid.UUID(int=1))])
def test_undoing_nothing_is_refused(batch: str, ada: User) -> None:
    with pytest.raises(InvalidInput):
        verdicts.undo(batch, ada)


def test_undo_of_a_batch_whose_visitors_are_gone_is_refused(profile: Any, ada: User) -> None:
    done = verdicts.decide([profile("ann").pk], "confirm", ada)
    Visitor.objects.filter(pk="ann").delete()
    with pytest.raises(InvalidInput):
        verdicts.undo(done.batch, ada)


def test_findings_are_nothing_to_undo(profile: Any, ada: User) -> None:
    row = profile("ann")
    with pytest.raises(InvalidInput):
        verdicts.undo(verdicts.history(row)[0].batch, ada)


def test_thousands_go_by_chunks(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "CHUNK", 1000)

    def decided(low: int, count: int) -> int:
        rows = Verdict.objects.bulk_create(
            Verdict(subject="session", subject_id=f"s{k}", kind="scraper", probability=0.9)
            for k in range(low, low + count)
        )
        with CaptureQueriesContext(connection) as queries:
            assert verdicts.decide([row.pk for row in rows], "confirm", ada).changed == count
        # SQLite takes but some hundred new rows at once; all else goes by thousands.
        return sum(not one["sql"].startswith("INSERT") for one in queries)

    assert decided(1000, 2_000) <= decided(0, 100) + 2  # one more chunk to lock, and to change


@pytest.mark.django_db(transaction=True)
def test_two_who_decide_at_once_both_stay_on_record(profile: Any, ada: User, bob: User) -> None:
    ids = [profile(f"v{k}").pk for k in range(20)]
    errors: list[Exception] = []
    gate = threading.Barrier(2)

    def work(action: str, by: User) -> None:
        try:
            gate.wait(5)
            verdicts.decide(reversed(ids) if action == "release" else ids, action, by)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=pair) for pair in (("confirm", ada), ("release", bob))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not errors
    assert Decision.objects.exclude(action="find").count() == 40
    for row in Verdict.objects.all():  # one after the other, whoever came first
        first, second = reversed(list(verdicts.history(row)[:2]))
        assert first.before == "open" and second.before == first.after and row.state == second.after


# What the shop holds back


@pytest.fixture
def written(shop: dict[str, Item]) -> Review:
    return reviews.write(Visitor.objects.get(pk="sea-fan-1"), shop["sea-05"], 5, "Great", "Really.")


def about(review: Review, **fields: Any) -> Verdict:
    return verdict("review", str(review.pk), visitor=review.visitor_id, **fields)


def shown(review: Review) -> bool:
    return reviews.shown(review.item).filter(pk=review.pk).exists()


def test_a_confirmed_review_is_not_shown_until_released_or_undone(written: Review, ada: User) -> None:
    row = about(written)
    done = verdicts.decide([row.pk], "confirm", ada)
    assert not shown(written)
    verdicts.undo(done.batch, ada)
    assert shown(written)
    verdicts.decide([row.pk], "confirm", ada)
    verdicts.decide([row.pk], "release", ada)
    assert shown(written)
    verdicts.decide([row.pk], "quarantine", ada)  # nobody has said that it is bad
    assert shown(written)


def test_releasing_shows_a_held_review_and_undoing_holds_it_by_the_same_rule(written: Review, ada: User) -> None:
    Review.objects.filter(pk=written.pk).update(held="item_reviews")
    Event.objects.filter(visitor=written.visitor_id, kind="rating").update(flag="item_reviews")
    row = about(written)
    done = verdicts.decide([row.pk], "release", ada)
    assert shown(written) and not Event.objects.exclude(flag="").exists()
    verdicts.undo(done.batch, ada)
    written.refresh_from_db()
    assert written.held == "item_reviews" and Event.objects.get(kind="rating").flag == "item_reviews"
    verdicts.undo(verdicts.decide([row.pk], "confirm", ada).batch, ada)
    written.refresh_from_db()
    assert written.held == "item_reviews"


def test_what_staff_hid_by_hand_stays_hidden(written: Review, ada: User) -> None:
    reviews.set_hidden(Review.objects.all(), True)
    row = about(written)
    verdicts.decide([row.pk], "confirm", ada)
    verdicts.decide([row.pk], "release", ada)
    written.refresh_from_db()
    assert written.hidden and written.held == ""


def test_a_confirmed_profile_takes_its_reviews_along_but_for_released_ones(written: Review, ada: User) -> None:
    other = reviews.write(written.visitor, Item.objects.get(pk="sea-07"), 5)
    verdicts.decide([about(other).pk], "release", ada)
    row = verdict("profile", written.visitor_id, visitor=written.visitor_id)
    done = verdicts.decide([row.pk], "confirm", ada)
    assert not shown(written) and shown(other)
    mine = about(written)
    verdicts.decide([mine.pk], "confirm", ada)
    verdicts.undo(done.batch, ada)
    assert not shown(written)  # its own verdict still holds it
    verdicts.decide([mine.pk], "release", ada)
    assert shown(written)


def test_orders_are_held_and_let_go(shop: dict[str, Item], ada: User) -> None:
    held = Order.objects.create(id="o-1", visitor_id="sea-fan-1", held="card_orders")
    free = Order.objects.create(id="o-2", visitor_id="sea-fan-1")
    rows = [verdict("order", one.pk, visitor="sea-fan-1") for one in (held, free)]
    done = verdicts.decide([row.pk for row in rows], "confirm", ada)
    holds_now = dict(Order.objects.values_list("pk", "held"))
    assert holds_now == {"o-1": "card_orders", "o-2": holds.CONFIRMED}
    verdicts.undo(done.batch, ada)
    assert dict(Order.objects.values_list("pk", "held")) == {"o-1": "card_orders", "o-2": ""}
    done = verdicts.decide([row.pk for row in rows], "release", ada)
    assert not Order.objects.exclude(held="").exists()
    verdicts.undo(done.batch, ada)
    assert dict(Order.objects.values_list("pk", "held")) == {"o-1": "card_orders", "o-2": ""}


def test_subjects_that_are_gone_or_name_nothing_are_decided_all_the_same(written: Review, ada: User) -> None:
    rows = [verdict("review", name) for name in ("999999", "none", "9" * 60, "²")] + [verdict("order", "gone")]
    for action in ("confirm", "release"):
        assert consequences.of([row.pk for row in rows], action).changing == 5
        assert verdicts.decide([row.pk for row in rows], action, ada).changed == 5


def test_what_is_renewed_keeps_how_it_was_held() -> None:
    assert holds.kept({"held": "burst", "figures": []}, {"targets": []}) == {"targets": [], "held": "burst"}
    assert holds.kept(None, {"targets": []}) == holds.kept({}, {"targets": []}) == {"targets": []}


# What a decision would do


def test_consequences_count_what_deciding_then_does(written: Review, ada: User) -> None:
    row = verdict("profile", written.visitor_id, visitor=written.visitor_id, probability=0.7)
    so = verdict("profile", "hill-fan-1", visitor="hill-fan-1", state="confirmed")
    effect = consequences.of([row.pk, so.pk, 10**6], "confirm")
    assert (effect.changing, effect.already, effect.missing, effect.reviews) == (1, 1, 1, 1)
    assert effect.learned is not None and effect.learned.left_out == 5  # four purchases and the rating
    assert Verdict.objects.get(pk=row.pk).state == "open"
    verdicts.decide([row.pk], "confirm", ada)
    back = consequences.of([row.pk], "release")
    assert back.learned is not None and (back.learned.restored, back.reviews) == (5, 1)
    assert consequences.of([row.pk], "confirm").learned is None


# What waits, what is alike


def test_waiting_counts_by_kind_and_shows_the_latest(profile: Any) -> None:
    assert verdicts.waiting().total == 0 and not verdicts.waiting().any
    for k, kind in enumerate(("push", "push", "nuke")):
        profile(f"v{k}", kind=kind, state="quarantined" if k == 0 else "open", probability=0.9 - k / 10)
    profile("done", state="released")
    seen = verdicts.waiting()
    assert (seen.total, seen.quarantined, seen.kinds) == (3, 1, [("push", 2), ("nuke", 1)])
    assert "done" not in [row.subject_id for row in seen.latest] and len(seen.latest) == 3


def test_next_waiting_walks_the_queue_once_in_its_order(profile: Any) -> None:
    rows = [profile(f"v{k}", probability=p) for k, p in enumerate((0.9, 0.7, 0.7, 0.95, 0.5))]
    profile("done", state="confirmed", probability=0.8)
    queue = list(Verdict.objects.filter(state="open"))
    assert [row.pk for row in queue] == [rows[k].pk for k in (3, 0, 2, 1, 4)]
    for place, row in enumerate(queue):
        before = queue[place - 1].pk if place else None
        after = queue[place + 1].pk if place + 1 < len(queue) else None
        assert verdicts.next_waiting(row) == (before, after)


def test_similar_are_the_group_then_the_targets_then_the_figures(profile: Any) -> None:
    def seen(targets: list[str], burst: float) -> dict[str, Any]:
        return {"targets": targets, "features": {"burst": burst, "share": burst / 2}}

    own = profile("own", group="g1", evidence=seen(["a", "b"], 9.0))
    profile("far", evidence=seen(["x"], 1.0), probability=0.99)
    near = profile("near", evidence=seen(["y"], 8.9))
    same = profile("same", evidence=seen(["b", "a"], 2.0))
    mate = profile("mate", group="g1", kind="nuke", evidence=seen([], 0.0))
    profile("broken", evidence={"features": "none", "targets": 7})
    verdict("session", "s", kind="push", evidence=seen(["a", "b"], 9.0))
    found = similar.similar(own)
    assert [one.verdict.pk for one in found[:3]] == [mate.pk, same.pk, near.pk]
    assert [one.why for one in found[:3]] == ["acts with it", "2 of the same targets", "its figures are alike"]
    assert [one.verdict.subject_id for one in found] == ["mate", "same", "near", "far"]
    assert similar.similar(profile("bare", kind="new")) == []


def test_the_story_tells_targets_with_and_without_the_group(shop: dict[str, Item], profile: Any) -> None:
    names = [f"shill-{k}" for k in range(4)]
    rows = [profile(name, group="ring", evidence={"targets": ["hill-01", "gone"]}) for name in names]
    for name in [*names, "sea-fan-2", "sea-fan-3"]:
        stars = 5.0 if name in names else 2.0
        Event.objects.create(kind="rating", visitor_id=name, item_id="hill-01", value=stars, occurred_at=DAY)
    Event.objects.create(kind="view", visitor_id="shill-0", item_id="hill-02", occurred_at=DAY)
    Event.objects.create(kind="impression", visitor_id="shill-0", item_id="hill-03", occurred_at=DAY)
    story = cases.story(rows[0])
    target, gone = story.targets
    assert (target.stars, target.stars_without, target.ratings, target.ratings_without) == (4.0, 2.0, 6, 2)
    assert (target.events, target.group_events) == (1, 4) and target.events_without == target.all_events - 4
    assert gone.item is None and gone.events == 0
    assert story.group_size == 4 and story.grid[0].subject_id == "shill-0"
    assert [member.cells[0].text for member in story.grid] == ["5★"] * 4
    assert story.kinds == [("impression", 1), ("rating", 1), ("view", 1)]


def test_a_sessions_events_are_those_of_its_time(shop: dict[str, Item]) -> None:
    for minute in range(4):
        Event.objects.create(
            kind="view", visitor_id="sea-fan-1", item_id="sea-01", occurred_at=DAY.replace(minute=minute)
        )
    span = [int(DAY.timestamp()), int(DAY.timestamp()) + 120]
    row = verdict("session", "sea-fan-1@1", visitor="sea-fan-1", evidence={"taints": {"span": span}})
    story = cases.story(row)
    assert story.events == 3 and len(story.moments) == 3 and story.targets[0].item_id == "sea-01"
    assert cases.story(verdict("session", "x", visitor="sea-fan-1")).events == 0  # nobody knows which
    assert cases.story(verdict("access", "1.2.3.4", evidence={"figures": []})).events == 0
