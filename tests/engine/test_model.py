"""A model as web processes see it: opened from disk, asked, filtered."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.engine.data.interactions import UNKNOWN, Histories
from recommender.engine.errors import ArtifactDamaged
from recommender.engine.index import INDEXES
from recommender.engine.model import LiveModel, open_model, write_model
from recommender.engine.trainers import KnowsNeighbours, Options, make_config, trainer
from tests import worlds

WORLD = worlds.two_groups()


def written(root: Path, name: str = "als", data: Any = WORLD, **more: Any) -> Path:
    config = make_config(name, {"factors": 4} if name == "als" else {})
    return write_model(root, "run-1", name, config, trainer(name).fit(data, config, Options()), data, **more)


@pytest.fixture(params=INDEXES)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> LiveModel:
    return open_model(written(tmp_path, purchases=WORLD, index=request.param, manifest={"seed": 42}))


@pytest.mark.parametrize("k", [1, 5, 30, 40, 100])
def test_recommends_the_best_scores(model: LiveModel, k: int) -> None:
    histories = WORLD.histories([4, 5, 6])
    rows, scores = model.recommend(histories, k)
    assert rows.shape == scores.shape == (3, min(k, 40))
    assert (rows.dtype, scores.dtype) == (np.int32, np.float32)
    every = model.query.scores(histories)
    np.testing.assert_allclose(scores, -np.sort(-every, axis=1)[:, :k], rtol=1e-4, atol=1e-5)
    assert (rows[:, 0] % 2 == [0, 1, 0]).all()


@pytest.mark.parametrize("k", [3, 12, 40])
def test_what_is_excluded_is_not_recommended(model: LiveModel, k: int) -> None:
    unbanned = model.recommend(WORLD.histories([4, 5]), 40)[0]
    first = unbanned[:, 0].tolist()
    own = [first + rows.tolist() for rows, _, _ in WORLD.histories([4, 5])]
    for users, banned in (([4, 5], first), ([4], own[0]), ([5], own[1])):
        rows, scores = model.recommend(WORLD.histories(users), k, exclude_rows=banned)
        assert rows.shape == scores.shape == (len(users), k)
        for user, found in zip(users, rows, strict=True):
            left = [row for row in unbanned[user - 4].tolist() if row not in banned][:k]
            assert found[found != UNKNOWN].tolist() == left
        assert ((rows == UNKNOWN) == (scores == -np.inf)).all()


def test_histories_of_no_one_and_of_nothing(model: LiveModel) -> None:
    assert model.recommend(WORLD.histories([]), 3)[0].shape == (0, 3)
    rows, scores = model.recommend(Histories.single([]), 3)
    assert rows.shape == (1, 3)
    assert np.isfinite(scores).all()


def test_similar_items_are_of_the_same_taste_and_not_the_item(model: LiveModel) -> None:
    rows, scores = model.similar(6, 5)
    assert len(rows) == 5
    assert 6 not in rows
    assert (rows % 2 == 0).all()
    assert (np.diff(scores) <= 0).all()
    assert 0 < scores[-1] <= scores[0] <= 1.0001
    vectors = model.query.item_vectors
    assert vectors is not None
    cosines = vectors @ vectors[6] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[6])
    np.testing.assert_allclose(scores, np.sort(cosines)[::-1][1:6], rtol=1e-4)


def test_companions_and_popular_items(model: LiveModel) -> None:
    rows, scores = model.together(6, 3)
    assert len(rows) == len(scores) <= 3
    assert UNKNOWN not in rows
    rows, counts = model.popular(4)
    taken = WORLD.matrix.getnnz(axis=0)
    np.testing.assert_array_equal(counts, np.sort(taken)[::-1][:4])
    np.testing.assert_array_equal(model.popular(2)[0], rows[:2])
    assert len(model.popular(100)[0]) == 40


def test_the_manifest_says_how_it_came_to_be(model: LiveModel) -> None:
    assert model.manifest["trainer"] == "als"
    assert model.manifest["config"]["factors"] == 4
    assert model.manifest["seed"] == 42
    assert model.manifest["counts"] == {"events": 480, "users": 60, "items": 40}


def test_what_else_belongs_to_the_run_is_kept(tmp_path: Path) -> None:
    labels = np.arange(40, dtype=np.int32)
    model = open_model(written(tmp_path, further={"groups/items": labels}))
    np.testing.assert_array_equal(model.artifact.arrays["further/groups/items"], labels)
    assert not any(name.startswith("learned/groups") for name in model.artifact.arrays)


def test_users_are_not_stored(model: LiveModel) -> None:
    assert not any("user" in name for name in model.artifact.arrays)
    assert all(60 not in array.shape for array in model.artifact.arrays.values())


def test_without_vectors_similar_items_are_companions(tmp_path: Path) -> None:
    data = worlds.planted_pairs()
    model = open_model(written(tmp_path, "popularity", data, purchases=data))
    assert model.similar(0, 1)[0].tolist() == model.together(0, 1)[0].tolist() == [1]
    rows, _ = model.recommend(data.histories([0]), 3)
    np.testing.assert_array_equal(rows[0], model.popular(3)[0])


def test_without_vectors_similar_items_are_the_neighbours_that_were_learned(tmp_path: Path) -> None:
    data = worlds.planted_pairs()
    model = open_model(written(tmp_path, "item_knn", data, purchases=data))
    rows, scores = model.similar(0, 4)
    assert isinstance(model.query, KnowsNeighbours)
    np.testing.assert_array_equal(rows, model.query.neighbours(0, 4)[0])
    assert rows[0] == 1
    assert 0 not in rows
    assert (np.diff(scores) <= 0).all()
    assert scores[-1] > 0


def test_an_item_without_neighbours_falls_back_on_companions(tmp_path: Path) -> None:
    taken = worlds.planted_pairs()
    model = open_model(written(tmp_path, "ease", taken.where(taken.item_rows != 0), purchases=taken))
    assert model.similar(0, 3)[0].tolist() == model.together(0, 3)[0].tolist() != []


def test_without_purchases_there_are_no_companions(tmp_path: Path) -> None:
    model = open_model(written(tmp_path))
    assert len(model.together(6, 3)[0]) == 0


@pytest.mark.parametrize("data", [worlds.single_user(), worlds.one_item()], ids=["one user", "one item"])
@pytest.mark.parametrize("index", INDEXES)
def test_the_smallest_shops(data: Any, index: str, tmp_path: Path) -> None:
    model = open_model(written(tmp_path, "als", data, index=index))
    rows, _ = model.recommend(data.histories([0]), 10)
    assert rows.shape == (1, len(data.items))
    assert len(model.similar(0, 5)[0]) <= len(data.items) - 1


def test_a_model_of_other_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    monkeypatch.setattr("recommender.engine.trainers.TRAINERS", {})
    with pytest.raises(ArtifactDamaged, match="Train again"):
        open_model(path)


@pytest.mark.parametrize("name", ["als", "ease", "item_knn"])
def test_a_web_process_needs_numpy_only(name: str, tmp_path: Path) -> None:
    """Opening and asking must not load what trains: a web process starts in a second."""
    program = (
        "import sys; from pathlib import Path; from recommender.engine.model import open_model;"
        "from recommender.engine.data.interactions import Histories;"
        "m = open_model(Path(sys.argv[1])); m.recommend(Histories.single([0, 2]), 5); m.similar(1, 3); m.popular(3);"
        "print(sorted({'torch', 'implicit', 'scipy', 'pandas', 'faiss', 'django'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(written(tmp_path, name))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
