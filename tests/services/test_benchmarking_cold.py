"""Items kept out of training: who is asked for which, the figures beside brute force, and the command's table."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from recommender.engine.data.datasets import Dataset
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.split import random_split
from recommender.engine.errors import InvalidDataset
from recommender.engine.options import Options, Progress
from recommender.management.benchmarks import cold as benchmark
from recommender.services.benchmarking import cold_pages, processes
from recommender.services.benchmarking.cold import Cold, Found, Setup, baselines, encoded, judged, measure_cold
from recommender.services.benchmarking.processes import Refusal
from tests import worlds

TOWER = {"factors": 8, "hidden": 8, "length": 8, "negatives": 16, "batch": 32, "epochs": 10, "learning_rate": 0.05,
         "temperature": 0.5}  # fmt: skip


def silent(stage: str) -> Progress:
    return lambda share, message: None


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Two groups of users, each of whom takes items of its own group; one feature tells the group, two are noise."""
    world = worlds.two_groups(per_user=12)
    noise = np.random.default_rng(0).integers(0, 2, (40, 2))
    features = np.hstack((np.eye(2)[np.arange(40) % 2], noise)).astype(np.float32)
    history, test = random_split(replace(world, item_features=features), 0.4, seed=0)
    train, validation = random_split(history, 0.2, seed=1)
    return Dataset("groups", train, validation, test, "random")


@pytest.fixture(scope="module")
def cold(dataset: Dataset) -> Cold:
    return Cold.of(dataset, 0.25, seed=3)


def test_items_kept_out_are_nowhere_to_be_learned_from(dataset: Dataset, cold: Cold) -> None:
    assert len(set(cold.item_rows.tolist())) == 10
    assert cold.held is not None
    for part in (cold.train, cold.held, cold.history):
        assert len(part) and not np.isin(part.item_rows, cold.item_rows).any()
    pairs = set(zip(dataset.test.user_rows.tolist(), dataset.test.item_rows.tolist(), strict=True))
    asked = {(user, item) for user, item in pairs if item in cold.item_rows}
    assert set(zip(cold.wanted.user_rows.tolist(), cold.wanted.item_rows.tolist(), strict=True)) == asked
    other = Cold.of(dataset, 0.25, seed=4)
    assert set(other.item_rows.tolist()) != set(cold.item_rows.tolist())
    np.testing.assert_array_equal(Cold.of(dataset, 0.25, seed=3).item_rows, cold.item_rows)


def test_figures_are_those_of_a_search_by_hand(cold: Cold) -> None:
    scores = np.random.default_rng(1).random((60, 10), dtype=np.float32)
    found = judged(cold, lambda users: scores[users], 3)
    for place, user in enumerate(cold.user_rows):
        wanted = set(cold.wanted.item_rows[cold.wanted.user_rows == user].tolist())
        best = cold.item_rows[np.argsort(-scores[user])[:3]].tolist()
        hits = [item in wanted for item in best]
        assert found["recall"][place] == pytest.approx(sum(hits) / len(wanted))
        gained = sum(hit / np.log2(rank + 2) for rank, hit in enumerate(hits))
        assert found["ndcg"][place] == pytest.approx(
            gained / sum(1 / np.log2(rank + 2) for rank in range(min(3, len(wanted))))
        )


def test_who_scores_all_alike_is_chance_and_not_one_lucky_list(cold: Cold) -> None:
    truth = cold.wanted.matrix[cold.user_rows][:, cold.item_rows].toarray() > 0
    many = replace(cold, user_rows=np.tile(cold.user_rows, 100))
    found = judged(many, lambda users: np.zeros((len(users), 10), dtype=np.float32), 2)["recall"]
    assert found.mean() == pytest.approx(2 / 10, abs=0.02)
    assert len(np.unique(found.reshape(100, -1).mean(axis=1))) > 10
    assert truth.any(axis=1).all()


def test_what_needs_no_learning_is_what_it_says(cold: Cold) -> None:
    assert cold.train.item_features is not None
    features = cold.train.item_features / np.linalg.norm(cold.train.item_features, axis=1, keepdims=True)
    takers = (cold.history.matrix > 0).toarray().sum(axis=0)
    known = takers > 0
    scores = baselines(cold, seed=0)
    popular, content = scores["popularity of alike"](cold.user_rows), scores["content of history"](cold.user_rows)
    for place, row in enumerate(cold.item_rows):
        alike = features @ features[row] * known
        np.testing.assert_allclose(popular[:, place], alike @ takers / alike.sum(), rtol=1e-5)
        for b, user in enumerate(cold.user_rows[:5]):
            profile = features[np.unique(cold.history.item_rows[cold.history.user_rows == user])].mean(axis=0)
            assert content[b, place] == pytest.approx(profile @ features[row] / np.linalg.norm(profile), rel=1e-5)


def test_who_knows_features_finds_them_and_who_does_not_is_no_better_than_chance(cold: Cold) -> None:
    setup = Setup(k=5, configs={"two_tower": TOWER, "als": {"factors": 4}})
    rows = dict(measure_cold(cold, ["two_tower", "als"], setup, silent, processes.here))
    tower, als, chance = rows["two_tower"], rows["als"], rows["chance"]
    assert isinstance(tower, Found) and isinstance(als, Found) and isinstance(chance, Found)
    assert tower.over(als).low > 0.05 and tower.over(chance).low > 0.05
    assert als.over(chance).low < 0.05
    assert tower.interval("recall").value > 0.8


def test_the_map_finds_them_for_a_trainer_that_knows_no_features(cold: Cold) -> None:
    rows = dict(
        measure_cold(cold, ["als", "item_knn"], Setup(k=5, configs={"als": {"factors": 4}}), silent, processes.here)
    )
    for name in ("als", "item_knn"):
        plain, mapped = rows[name], rows[f"map to {name}"]
        assert isinstance(plain, Found) and isinstance(mapped, Found)
        assert mapped.over(plain).low > 0.05
        assert mapped.interval("recall").value > 0.8


def test_texts_describe_items_that_have_no_features(dataset: Dataset) -> None:
    texts = tuple(f"{'sea boat' if row % 2 else 'hill path'} number {row}" for row in range(40))
    bare = replace(dataset, train=replace(dataset.train, item_features=None), texts=texts)
    by_words = Cold.of(bare, 0.25, seed=3)
    assert by_words.words.shape == (40, 5)  # number, and two words of each group
    vectors = encoded(texts, "hashing", Options())
    both = Cold.of(bare, 0.25, seed=3, encoded=vectors)
    assert both.train.item_features is not None
    assert both.train.item_features.shape == (40, 5 + vectors.shape[1])
    np.testing.assert_array_equal(both.words, by_words.words)
    rows = dict(measure_cold(both, ["als"], Setup(k=5, configs={"als": {"factors": 4}}), silent, processes.here))
    mapped, chance = rows["map to als"], rows["chance"]
    assert isinstance(mapped, Found) and isinstance(chance, Found) and mapped.over(chance).low > 0.1


def test_settings_are_chosen_without_looking_at_the_test(dataset: Dataset) -> None:
    test, chosen = Cold.of(dataset, 0.25, seed=3), Cold.of(dataset, 0.25, seed=3, on="validation")
    assert not set(test.item_rows.tolist()) & set(chosen.item_rows.tolist())
    for part in (chosen.train, chosen.history, chosen.wanted):
        assert len(part) and not np.isin(part.item_rows, test.item_rows).any()
    assert dataset.validation is not None
    known = set(zip(dataset.validation.user_rows.tolist(), dataset.validation.item_rows.tolist(), strict=True))
    assert set(zip(chosen.wanted.user_rows.tolist(), chosen.wanted.item_rows.tolist(), strict=True)) <= known


def test_what_cannot_be_asked_is_refused(dataset: Dataset) -> None:
    plain = replace(dataset, train=replace(dataset.train, item_features=None))
    with pytest.raises(InvalidDataset, match="describes no items"):
        Cold.of(plain, 0.2, seed=0)
    with pytest.raises(InvalidDataset, match="nothing to ask for"):
        Cold.of(dataset, 0.001, seed=0)


def test_who_has_no_other_history_is_not_asked(dataset: Dataset) -> None:
    only = dataset.test.where(dataset.test.user_rows == 0)
    strangers = replace(dataset, validation=None, train=dataset.train.where(dataset.train.user_rows != 0), test=only)
    with pytest.raises(InvalidDataset, match="nothing to ask for"):
        Cold.of(strangers, 0.9, seed=0)


def test_the_command_shows_and_keeps_it(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "apart", processes.here)
    monkeypatch.setattr(benchmark, "chosen_dataset", lambda options: dataset)
    out, path = StringIO(), tmp_path / "out.json"
    configs = json.dumps({"two_tower": TOWER, "als": {"factors": 4}})
    call_command("benchmark", "cold", "groups", "--k", "5", "--share", "0.25", "--config", configs, "--json", str(path),
                 stdout=out)  # fmt: skip
    lines = out.getvalue().splitlines()
    methods = ["two_tower", "map to two_tower", "als", "map to als"]
    assert [line.split("  ")[0] for line in lines[2:9]] == [
        "chance", "popularity of alike", "content of history", *methods,
    ]  # fmt: skip
    assert len({len(line) for line in lines[:9]}) == 1
    assert "10 items kept out" in out.getvalue() and "factors=8" in out.getvalue()
    kept = json.loads(path.read_text())
    assert [row["method"] for row in kept["results"]][3:] == methods
    assert kept["results"][3]["metrics"]["ndcg@5"]["low"] > kept["results"][0]["metrics"]["ndcg@5"]["high"]
    out = StringIO()
    call_command("benchmark", "cold", "groups", "--share", "0.25", "--pages", "--trainer", "als", stdout=out)
    assert "pages by als" in out.getvalue() and "hope 0.25" in out.getvalue()
    for wrong in (["--share", "1"], ["--k", "5,10"], ["--text-encoder", "hashing"]):
        with pytest.raises(CommandError):
            call_command("benchmark", "cold", "groups", *wrong)


def test_a_trainer_without_a_result_is_a_row_with_its_reason(cold: Cold) -> None:
    small: Interactions = cold.train.where(np.zeros(len(cold.train), dtype=bool))
    [*_, (name, found)] = measure_cold(replace(cold, train=small), ["als"], Setup(), silent, processes.here)
    assert name == "als" and isinstance(found, Refusal)


def test_newcomers_take_their_share_of_pages_and_no_more() -> None:
    scores = np.array([[9, 8, 7, 6, 5, 4, 3, 2, 1, 0.5, 0.1, 0]], dtype=np.float32)
    new = np.array([1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], dtype=bool)
    assert cold_pages._pages(scores, new, 5, 1).tolist() == [[0, 2, 4, 5, 6]]
    assert cold_pages._pages(scores, new, 10, 2).tolist() == [[0, 1, 2, 4, 5, 6, 7, 8, 9, 10]]


def test_pages_by_hope_beside_those_without_newcomers(cold: Cold) -> None:
    setup = Setup(k=10, configs={"als": {"factors": 4}})
    alone, *hoping = cold_pages.measure_pages(silent, cold, "als", setup, 0.2)
    assert alone.hope is None and alone.newcomers == 0
    assert [one.hope for one in hoping] == list(cold_pages.HOPES)
    shares = [one.newcomers for one in hoping]
    assert shares == sorted(shares) and 0 < shares[-1] <= 0.2
    table = cold_pages.pages_table("als", [alone, *hoping], 10)
    assert "without newcomers" in table[2] and f"{100 * shares[-1]:.1f} %" in table[-1]
