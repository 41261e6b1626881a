"""Other people's recommenders and metrics beside ours."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recommender.engine.data.datasets import Dataset
from recommender.engine.data.split import random_split
from recommender.engine.evaluation.protocol import evaluate
from recommender.engine.options import Progress
from recommender.services.benchmarking import agreement, peers, processes
from recommender.services.benchmarking.accuracy import Result, Setup, asked, measure_accuracy, results
from recommender.services.benchmarking.processes import Refusal
from tests import worlds

CONFIGS = {
    "als": {"factors": 4, "iterations": 5},
    "ease": {"power": 0.0, "user_power": 0.0, "half_life_items": 0.0, "neighbours": 200},
    "item_knn": {"half_life_items": 0.0, "sharpness": 1.0, "neighbours": 20},
}
SETUP = Setup(ks=(5, 10), configs=CONFIGS, keep_lists=True)
needs_peers = pytest.mark.skipif(not peers.PEER_PYTHON.exists(), reason="`make peers` has not been run")


def silent(stage: str) -> Progress:
    return lambda share, message: None


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Two groups within a long tail, a validation part, and a user of whom nothing is known."""
    data = worlds.two_groups(users=80, items=60, per_user=14)
    rest, test = random_split(data, 0.3, seed=0)
    train, validation = random_split(rest, 0.2, seed=1)
    known = train.user_rows != 7
    return Dataset("world", train.where(known), validation.where(validation.user_rows != 7), test, "random")


@pytest.fixture(scope="module")
def ours(dataset: Dataset) -> dict[str, Result]:
    rows = measure_accuracy(dataset, ["als", "ease"], SETUP, silent, processes.here)
    return {result.name: result for result in results(rows)}


def test_lists_are_judged_as_the_trainer_that_made_them(dataset: Dataset, ours: dict[str, Result]) -> None:
    als = ours["als"]
    assert als.lists is not None
    judged = peers.judge(als.lists, als.report.user_rows, dataset, SETUP)
    warm = als.report.warm
    assert not warm.all()
    for name, values in als.report.per_user.items():
        np.testing.assert_array_equal(judged.per_user[name][warm], values[warm])


def test_a_short_list_is_not_filled_up(dataset: Dataset, ours: dict[str, Result]) -> None:
    als = ours["als"]
    assert als.lists is not None
    lists = als.lists.copy()
    lists[:, 1:] = -1
    judged = peers.judge(lists, als.report.user_rows, dataset, SETUP)
    assert judged.main["hit_rate@5"].value == judged.main["hit_rate@10"].value
    assert judged.main["hit_rate@10"].value < als.report.main["hit_rate@10"].value


def test_implicits_metrics_are_ours(dataset: Dataset, ours: dict[str, Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEER_PYTHON", Path("/nowhere"))
    found, missing = agreement.compare(list(ours.values()), dataset, SETUP)
    assert {(one.trainer, one.metric) for one in found} == {
        (trainer, f"{metric}@{k}")
        for trainer in ("popularity", "als", "ease")
        for metric in ("ndcg", "map", "pooled_precision")
        for k in (5, 10)
    }
    assert max(one.gap for one in found) < 1e-12
    assert min(one.ours for one in found) > 0.01
    assert "make peers" in missing


def test_implicits_evaluation_of_its_own_model_with_our_vectors_is_our_report() -> None:
    """The whole way: implicit ranks by our vectors and judges by its metrics; no list of ours is in between."""
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.evaluation import ranking_metrics_at_k

    from recommender.engine.trainers import Options, make_config, trainer

    train, test = random_split(worlds.long_tail(), 0.3, seed=0)
    config = make_config("als", {"factors": 8})
    arrays = trainer("als").fit(train, config, Options())
    query = trainer("als").query(arrays, config)
    report = evaluate(query, train, test, (10,))
    model = AlternatingLeastSquares(factors=8)
    model.item_factors, model.user_factors = arrays["item_vectors"], query.vectors(train.histories())
    theirs = ranking_metrics_at_k(model, train.matrix, test.matrix, K=10, show_progress=False)
    assert theirs["ndcg"] == pytest.approx(report.main["ndcg@10"].value, abs=5e-5)
    assert theirs["map"] == pytest.approx(report.main["map@10"].value, abs=5e-5)


def test_a_metric_that_differs_is_named() -> None:
    same = agreement.Agreement("als", "implicit", "ndcg@10", 0.25, 0.25001)
    other = agreement.Agreement("als", "implicit", "map@10", 0.25, 0.2502)
    lines = agreement.notes([same, other], "not installed")
    assert lines[0].startswith("2 metrics by implicit on the same lists: the largest difference from ours is 2.0e-04")
    assert lines[1:] == ["  differs: map@10 of als: 0.250000, implicit 0.250200", "RecTools' metrics: not installed"]


def test_implicit_with_our_settings_finds_what_we_find(dataset: Dataset, ours: dict[str, Result]) -> None:
    rows = {row.name: row.found for row in peers.measure_peers(dataset, ["als", "item_knn"], SETUP, silent)}
    als = rows["peer: implicit ALS"]
    assert isinstance(als, Result) and als.peer and als.fit_s > 0 and als.fit_mib > 10 and als.score_mib > 10
    assert als.report.main["ndcg@10"].value == pytest.approx(ours["als"].report.main["ndcg@10"].value, abs=0.02)
    knn = rows["peer: implicit item-kNN"]
    assert isinstance(knn, Result) and knn.report.main["ndcg@10"].value > 0.2


def test_a_peer_that_is_missing_or_fails_is_a_row(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEER_PYTHON", Path("/nowhere"))
    [row] = peers.measure_peers(dataset, ["popularity"], SETUP, silent)
    assert isinstance(row.found, Refusal) and "make peers" in row.found.reason and row.peer
    python = Path(sys.executable)
    found = peers.ask({"task": "no such"}, {}, {}, python, SETUP)
    assert isinstance(found, Refusal) and found.reason == "Failed: KeyError: 'no such'"
    slow = replace(SETUP, limits=processes.Limits(seconds=0.001))
    assert peers.ask({"task": "metrics"}, {}, {}, python, slow) == Refusal("Over the limit of 0.001 s.")


@needs_peers
def test_rectools_finds_what_we_find(dataset: Dataset, ours: dict[str, Result]) -> None:
    rows = {row.name: row.found for row in peers.measure_peers(dataset, ["popularity", "ease"], SETUP, silent)}
    ease, popular = rows["peer: rectools EASE"], rows["peer: rectools popular"]
    assert isinstance(ease, Result) and isinstance(popular, Result)
    assert ease.report.main["ndcg@10"].value == pytest.approx(ours["ease"].report.main["ndcg@10"].value, abs=0.01)
    close = pytest.approx(ours["popularity"].report.main["recall@10"].value, abs=0.02)  # ties fall otherwise
    assert popular.report.main["recall@10"].value == close


@needs_peers
def test_rectools_metrics_are_ours(dataset: Dataset, ours: dict[str, Result]) -> None:
    found, missing = agreement.compare([ours["als"]], dataset, SETUP)
    theirs = [one for one in found if one.library == "rectools"]
    assert len(theirs) == 10 and not missing
    assert max(one.gap for one in theirs) < 1e-12
    assert asked(dataset).matrix.sum(axis=1).max() > 1
