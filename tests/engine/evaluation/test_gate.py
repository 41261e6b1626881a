"""What the gate lets through and what it refuses, and that it says why in words."""

import json
from dataclasses import replace

import numpy as np
import pytest

from recommender.engine.data.interactions import Interactions
from recommender.engine.data.split import random_split
from recommender.engine.evaluation.gate import GateConfig, judge
from recommender.engine.evaluation.protocol import Report, evaluate
from tests import worlds
from tests.contracts.trainer import fit
from tests.engine.evaluation.test_protocol import Table


@pytest.fixture(scope="module")
def split() -> tuple[Interactions, Interactions]:
    return random_split(worlds.two_groups(users=200), 0.3, seed=0)


@pytest.fixture(scope="module")
def good(split) -> Report:
    return evaluate(fit("als", split[0], {"factors": 2}), *split)


@pytest.fixture(scope="module")
def popular(split) -> Report:
    return evaluate(fit("popularity", split[0], {}), *split)


def failed(verdict) -> list[str]:
    return [check["name"] for check in verdict.checks if not check["passed"]]


def test_a_good_model_passes_every_check(good: Report, popular: Report) -> None:
    verdict = judge(good, popular, good.as_json(), arrays={"item_vectors": np.ones((2, 2), np.float32)})
    assert verdict.passed
    assert verdict.reasons == []
    names = ["finite", "tells_apart", "covers", "beats_popularity", "keeps_up"]
    assert [check["name"] for check in verdict.checks] == names
    json.dumps(verdict.as_json(), allow_nan=False)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused(good: Report, popular: Report, wrong: float) -> None:
    arrays = {"item_vectors": np.array([[1, wrong]], np.float32), "rows": np.array([1])}
    verdict = judge(good, popular, arrays=arrays)
    assert failed(verdict) == ["finite"]
    assert "item_vectors" in verdict.reasons[0]


def test_scores_that_are_not_finite_are_refused(good: Report, popular: Report) -> None:
    verdict = judge(replace(good, not_finite=7), popular)
    assert failed(verdict) == ["finite"]
    assert "7 users" in verdict.reasons[0]


def test_not_finite_is_refused_even_where_there_is_too_little_to_judge(good: Report, popular: Report) -> None:
    verdict = judge(replace(good, not_finite=7), popular, config=GateConfig(min_users=10_000))
    assert not verdict.passed
    assert len(verdict.reasons) == 2


def test_the_same_list_for_everyone_is_refused(popular: Report) -> None:
    verdict = judge(popular, popular)
    assert failed(verdict) == ["tells_apart"]
    assert "200 users compared get the same list" in verdict.reasons[0]


def test_but_not_from_a_trainer_that_means_to(popular: Report) -> None:
    assert judge(popular, popular, popular.as_json(), personalised=False).passed


def test_a_collapse_onto_a_few_items_is_refused(good: Report, popular: Report) -> None:
    verdict = judge(replace(good, shown=1, items=100_000), popular)
    assert failed(verdict) == ["covers"]
    assert "0.1% of the 2000 that could be" in verdict.reasons[0]


def test_worse_than_popularity_is_refused_with_the_numbers(split, popular: Report) -> None:
    reversed_taste = Table(-np.random.default_rng(0).random((30, 40)))
    bad = evaluate(reversed_taste, *split)
    verdict = judge(bad, replace(popular, per_user={**popular.per_user, "ndcg@10": bad.per_user["ndcg@10"] + 0.1}))
    assert failed(verdict) == ["beats_popularity"]
    assert "worse than recommending what is popular" in verdict.reasons[0]
    assert f"{bad.main['ndcg@10'].value:.4f}" in verdict.reasons[0]


def test_about_as_good_as_popularity_passes(good: Report) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, len(good.user_rows))
    like = replace(good, per_user={**good.per_user, "ndcg@10": good.per_user["ndcg@10"] + noise - noise.mean()})
    verdict = judge(good, like)
    assert verdict.passed
    assert "about as good as" in verdict.checks[3]["sentence"]


@pytest.mark.parametrize(("drop", "passes"), [(0.0, True), (0.01, True), (0.2, False)])
def test_worse_than_the_live_model_beyond_chance_is_refused(
    good: Report, popular: Report, drop: float, passes: bool
) -> None:
    live = good.as_json()
    for key in ("value", "low", "high"):
        live["metrics"]["ndcg@10"][key] += drop
    verdict = judge(good, popular, live)
    assert verdict.passed is passes
    assert passes or failed(verdict) == ["keeps_up"]


@pytest.mark.parametrize("live", [None, {}, {"metrics": {}}, {"metrics": {"ndcg@10": {"value": None, "low": None}}}])
def test_a_live_model_without_figures_is_no_obstacle(good: Report, popular: Report, live) -> None:
    assert judge(good, popular, live).passed


def test_too_few_users_pass_with_a_note(good: Report, popular: Report) -> None:
    verdict = judge(good, popular, good.as_json(), config=GateConfig(min_users=201))
    assert verdict.passed
    assert [check["name"] for check in verdict.checks] == ["finite"]
    assert verdict.reasons == ["Only 200 test users have a history, too few to compare by; 201 are asked for."]


def test_no_users_at_all_pass_with_a_note(split) -> None:
    train, test = split
    none = evaluate(fit("als", train, {"factors": 2}), train, test.where(np.zeros(len(test), bool)))
    assert judge(none, none, config=GateConfig(min_users=0)).passed
