"""Who is served by which variant."""

from timeit import timeit
from typing import Any

import pytest

from recommender.models import Experiment
from recommender.services.experiments import assignment
from recommender.services.experiments.comparing import ratio_p
from tests.services.experiments.shown import ago, experiment

VISITORS = [f"guest:{number:032x}" for number in range(4000)]
pytestmark = pytest.mark.django_db


def running(name: str = "trial", **more: Any) -> tuple[Experiment, list[Any]]:
    assignment.forget()
    return experiment(name, status="running", started_at=more.pop("started_at", ago(days=1)), **more)


def test_nobody_takes_part_where_nothing_runs(django_assert_num_queries: Any) -> None:
    experiment()  # a draft
    with django_assert_num_queries(1):
        assert [assignment.of(visitor) for visitor in VISITORS[:100]] == [None] * 100
    assert timeit(lambda: assignment.of("guest:1"), number=1000) / 1000 < 20e-6


def test_a_visitor_always_gets_the_same_and_variants_get_their_weights() -> None:
    _, (control, other) = running()
    other.weight = 3
    other.save()
    found = [assignment.of(visitor) for visitor in VISITORS]
    assert None not in found
    counts = [sum(got.variant_id == variant.pk for got in found if got) for variant in (control, other)]
    assert ratio_p(counts, [1, 3]) > 0.001
    assignment.forget()
    assert [assignment.of(visitor) for visitor in VISITORS] == found
    got = next(got for got in found if got and got.variant_id == other.pk)
    assert (got.experiment, got.variant) == ("trial", "b")
    assert (got.settings, got.rules, got.run_id) == (other.settings, True, None)
    assert assignment.of(None) is None
    assert assignment.of("\ud800") is not None  # half of a pair, as a client may send


def test_a_share_takes_part_and_the_next_experiment_takes_of_the_rest() -> None:
    running("older", share=0.5, started_at=ago(days=2))
    alone = {visitor for visitor in VISITORS if assignment.of(visitor)}
    assert 1850 < len(alone) < 2150
    running("newer", share=0.5)
    both = {visitor: got.experiment for visitor in VISITORS if (got := assignment.of(visitor))}
    assert {visitor for visitor, name in both.items() if name == "older"} == alone
    newer = sum(name == "newer" for name in both.values())
    assert 0.4 < newer / (len(VISITORS) - len(alone)) < 0.6


def test_two_experiments_do_not_divide_visitors_alike() -> None:
    one, (control, _) = running("first")
    first = {visitor for visitor in VISITORS if assignment.of(visitor).variant_id == control.pk}  # type: ignore[union-attr]
    Experiment.objects.filter(pk=one.pk).update(status="stopped")
    _, (control, _) = running("second")
    second = {visitor for visitor in VISITORS if assignment.of(visitor).variant_id == control.pk}  # type: ignore[union-attr]
    assert 0.4 < len(first & second) / len(first) < 0.6


def test_the_copy_is_read_anew_after_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(assignment.time, "monotonic", lambda: clock[0])
    assert assignment.of("guest:1") is None
    experiment(status="running", started_at=ago(days=1))
    assert assignment.of("guest:1") is None
    clock[0] += assignment.FOR_S
    assert assignment.of("guest:1") is not None
