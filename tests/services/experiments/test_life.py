"""Experiments from their start to their end, and what they find."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from recommender import tasks
from recommender.models import Answer, Experiment, Item, Run
from recommender.services import people, publishing, serving
from recommender.services.errors import InvalidInput
from recommender.services.experiments import answers, life, results
from recommender.services.experiments.comparing import Rate, needed
from tests.services.experiments.shown import ago, did, experiment, show, shown_to_many

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def goods(db: None) -> list[str]:
    Item.objects.bulk_create(Item(id=name, title=name) for name in ("x", "y"))
    return ["x", "y"]


def begun(counts: list[tuple[int, int]], needs: int = 1000, **more: Any) -> Experiment:
    """A running experiment whose variants were shown to so many visitors, of whom so many clicked."""
    more = {"started_at": ago(days=3), **more}
    one, variants = experiment(status="running", needed=needs, baseline=0.1, variants=len(counts), **more)
    for variant, (visitors, hits) in zip(variants, counts, strict=True):
        shown_to_many(visitors, hits, ["x", "y"], variant.name, ago(hours=5), variant=variant)
    return one


def test_a_draft_is_checked_as_it_starts(goods: list[str]) -> None:
    one, variants = experiment()
    with pytest.raises(InvalidInput, match="which rate is expected"):
        life.start(one.pk)
    for name, value, wrong in (
        ("settings", {"diversty": 1}, "diversty"),
        ("settings", {"diversity": 2}, "diversity"),
        ("settings", {"watch": {}}, "watch"),
        ("settings", [1], "object"),
        ("run", Run.objects.create(trainer="als", status="failed"), "no model"),
        ("control", True, "control"),
    ):
        before = getattr(variants[1], name)
        setattr(variants[1], name, value)
        variants[1].save()
        with pytest.raises(InvalidInput, match=wrong):
            life.start(one.pk)
        setattr(variants[1], name, before)
        variants[1].save()
    variants[1].delete()
    with pytest.raises(InvalidInput, match="two variants"):
        life.start(one.pk)
    assert Experiment.objects.get().status == "draft"


def test_it_starts_from_what_was_measured(goods: list[str]) -> None:
    shown_to_many(200, 50, goods, "v", ago(days=1))
    shown_to_many(200, 50, goods, "old", ago(days=20))
    one, _ = experiment(least_effect=0.2)
    started = life.start(one.pk)
    assert (started.status, started.baseline, started.needed) == ("running", 0.25, needed(0.25, 0.2))
    with pytest.raises(life.ExperimentRefused):
        life.start(one.pk)


def test_visitors_count_not_events(goods: list[str]) -> None:
    one, (control, other) = experiment(status="running", needed=100, started_at=ago(days=1))
    for _ in range(5):
        answer = show("keen", goods, ago(hours=3), variant=control)
        did("click", "keen", "x", answer)
        did("view", "keen", "y", answer)
    show("idle", goods, ago(hours=3), variant=control)
    did("click", "bot", "x", show("bot", goods, ago(hours=3), variant=other), flag="too-fast")
    show("", goods, ago(hours=3), variant=other)  # in private mode
    moved = show("guest", goods, ago(hours=3), variant=control)
    show("guest", goods, ago(hours=2), variant=other)
    did("click", "guest", "x", moved)
    found = results.read(one)
    assert [arm.counted for arm in found.arms] == [results.Counted(2, 6, 1), results.Counted(1, 1, 0)]
    assert found.arms[0].rate == Rate(1, 2)
    assert (found.crossed, found.visitors) == (1, 3)


def test_purchases_count_wherever_the_item_was_found_but_only_afterwards(goods: list[str]) -> None:
    one, (control, _) = experiment(status="running", needed=100, started_at=ago(days=1), metric="purchase")
    for name in ("before", "after", "cart"):
        show(name, ["x"], ago(hours=5), variant=control)
    did("purchase", "before", "y", occurred_at=ago(hours=6))
    did("purchase", "after", "y", occurred_at=ago(hours=4))
    did("cart", "cart", "x", occurred_at=ago(hours=4))
    assert results.read(one).arms[0].counted == results.Counted(3, 3, 1)
    Experiment.objects.update(metric="cart")
    assert results.read(Experiment.objects.get()).arms[0].counted == results.Counted(3, 3, 1)


def test_a_guest_who_logs_in_takes_what_was_shown_along(goods: list[str], account: Any) -> None:
    guest = people.ensure(people.new_guest_id())
    show(guest.pk, goods)
    people.merge(guest.pk, account)
    assert Answer.objects.get().visitor_id == account.pk


def test_it_stops_by_itself_once_it_is_certain(goods: list[str]) -> None:
    one = begun([(700, 70), (700, 140)])
    assert [row.pk for row in life.tend()] == [one.pk]
    one.refresh_from_db()
    assert one.status == "stopped"
    assert "b is better than the control by 100.0%" in one.why_stopped
    Answer.objects.all().delete()  # as pruning does
    found = results.read(one)
    assert found.winner is not None
    assert found.winner.variant.name == "b"
    assert found.arms[1].rate == Rate(140, 700)


def test_the_task_looks_after_experiments_and_old_answers(goods: list[str]) -> None:
    one = begun([(700, 70), (700, 140)])
    show("v", goods, ago(days=31))
    tasks.watch()
    assert Experiment.objects.get(pk=one.pk).status == "stopped"
    tasks.prune()
    assert Answer.objects.count() == 1400


def test_it_goes_on_while_nothing_is_certain(goods: list[str]) -> None:
    one = begun([(200, 20), (200, 34)])
    assert life.tend() == []
    found = results.read(one)
    assert (found.others[0][1].verdict, found.winner, found.decided) == ("open", None, False)
    assert found.seen == pytest.approx(0.2)
    assert "not conclusive at 20%" in life.in_words(found)


def test_it_stops_when_all_were_seen_and_when_its_days_are_over(goods: list[str]) -> None:
    begun([(300, 30), (300, 31)], needs=300)
    (one,) = life.tend()
    assert "no difference was found" in one.why_stopped
    begun([(200, 20), (200, 22)], name="long", most_days=2)
    (one,) = life.tend()
    assert one.why_stopped.startswith("Ended after 2 days. b: not conclusive")


def test_a_wrong_ratio_withholds_the_verdict(goods: list[str]) -> None:
    one = begun([(900, 90), (700, 200)])
    found = results.read(one)
    assert found.mismatched
    assert (found.winner, found.decided) == (None, False)
    assert life.tend() == []
    assert "were not divided" in life.in_words(found)


def test_three_variants_wait_for_each_other(goods: list[str]) -> None:
    one = begun([(600, 60), (600, 150), (600, 63)])
    found = results.read(one)
    assert [difference.verdict for _, difference in found.others] == ["better", "open"]
    assert life.tend() == []
    assert found.winner is not None


def test_staff_stop_with_a_reason(goods: list[str]) -> None:
    one = begun([(20, 2), (20, 2)])
    with pytest.raises(InvalidInput):
        life.stop(one.pk, " ")
    stopped = life.stop(one.pk, "a sale began")
    assert (stopped.status, stopped.why_stopped) == ("stopped", "a sale began")
    with pytest.raises(life.ExperimentRefused):
        life.stop(one.pk, "again")
    assert stopped.stopped_at is not None
    assert timezone.now() - stopped.stopped_at < timedelta(minutes=1)


def test_visitors_are_served_by_their_variant(live: Run, finished: Callable[..., Run]) -> None:
    _, (control, other) = experiment(status="running", started_at=ago(days=1), needed=100)
    other.run = finished()
    other.save()
    shown = {}
    for number in range(12):
        shelf = serving.recommend(f"sea-fan-{number}", 4)
        shown[shelf.rec_id] = shelf.run_id
    answers.flush()
    rows = Answer.objects.all()
    assert {row.pk: row.run_id for row in rows} == shown
    assert {(row.variant_id, row.run_id) for row in rows} == {(control.pk, live.pk), (other.pk, other.run_id)}


def test_what_an_experiment_serves_is_not_swept_away(finished: Callable[..., Run], settings: Any) -> None:
    settings.RECOMMENDER = {**settings.RECOMMENDER, "keep_artifacts": 1}
    runs = [finished() for _ in range(4)]
    _, variants = experiment()
    variants[1].run = runs[0]
    variants[1].save()
    assert publishing.sweep_artifacts() == [runs[2].artifact, runs[1].artifact]
    publication = life.make_live(variants[1], "it won")
    assert publication is not None
    assert publishing.live_run_id() == runs[0].pk
    assert life.make_live(variants[1], "it won") is None
    assert life.make_live(variants[0], "it won") is None
