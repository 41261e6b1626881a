import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from recommender.engine.data.ids import Ids
from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.data.split import hold_out_last
from recommender.engine.errors import Cancelled, InvalidConfig, NotFinite
from recommender.engine.learning import loop
from recommender.engine.learning.held import Held
from recommender.engine.trainers import Options, make_config
from recommender.engine.trainers import matrix as module
from recommender.engine.trainers.matrix import GROUP, Groups, MatrixConfig, MatrixQuery, MatrixTrainer
from tests import worlds
from tests.contracts.trainer import TrainerContract, fit

SMALL: dict[str, Any] = {"factors": 8, "negatives": 16, "batch": 8, "epochs": 10, "learning_rate": 0.05,
                         "temperature": 1.0}  # fmt: skip


class TestMatrix(TrainerContract):
    name = "matrix"
    config: ClassVar = SMALL


@pytest.fixture(scope="module")
def query() -> MatrixQuery:
    """Random vectors of 30 items, of which 20 stand for all."""
    vectors = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return MatrixQuery(vectors, vectors[:20], 1 / 0.3)


@pytest.mark.parametrize("loss", ["bsl", "bpr"])
def test_the_other_losses_learn_the_two_groups_too(loss: str) -> None:
    world = worlds.two_groups()
    answers = fit("matrix", world, SMALL | {"loss": loss}).scores(world.histories())
    own = np.argsort(-answers, axis=1)[:, :10] % 2 == (np.arange(60) % 2)[:, None]
    assert own.mean() > 0.98


def test_fewer_items_than_liked_ones_of_a_group_are_no_trouble() -> None:
    users, items = np.divmod(np.flatnonzero(np.add.outer(np.arange(12), np.arange(5)) % 2 == 0), 5)
    world = Interactions.build(Ids.of(map(str, range(12))), Ids.of(map(str, range(5))), users, items)
    answers = fit("matrix", world, SMALL | {"loss": "bpr"}).scores(world.histories([0]))
    assert answers[0, ::2].min() > answers[0, 1::2].max()


def test_an_answer_is_where_the_softmax_loss_of_a_history_is_smallest(
    query: MatrixQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among unit vectors, against a search by small random steps in float64."""
    monkeypatch.setattr(module, "ROUNDS", 60)
    rows = [1, 4, 25]
    y, z = query.item_vectors.astype(np.float64), query.sample.astype(np.float64)

    def loss(x: np.ndarray) -> float:
        logits = z @ (x / np.linalg.norm(x)) / 0.3
        return float(np.log(np.exp(logits).sum()) - (y[rows] @ x).mean() / np.linalg.norm(x) / 0.3)

    random, best, step = np.random.default_rng(1), np.ones(6), 1.0
    for _ in range(6000):
        tried = best + step * random.normal(size=6)
        if loss(tried) < loss(best):
            best = tried / np.linalg.norm(tried)
        else:
            step = max(step * 0.99, 1e-4)
    found = query.vectors(Histories.single(rows))[0]
    assert loss(found) <= loss(best) + 1e-5
    np.testing.assert_allclose(found, best, atol=5e-3)


def test_few_rounds_are_enough(query: MatrixQuery, monkeypatch: pytest.MonkeyPatch) -> None:
    few = query.vectors(Histories.single([1, 4, 25]))
    monkeypatch.setattr(module, "ROUNDS", 200)
    many = query.vectors(Histories.single([1, 4, 25]))
    assert float(few[0] @ many[0]) > 0.999


def test_a_disliked_item_falls_and_what_cancels_out_says_nothing(query: MatrixQuery) -> None:
    liked = query.scores(Histories.single([0, 2]))[0]
    disliking = query.scores(Histories.single([0, 2, 7], [1, 1, -1]))[0]
    assert disliking[7] < liked[7] - 0.1
    cancelled = Histories.single([0, 2, 8, 8], [1, 1, 3, -3])
    np.testing.assert_allclose(query.scores(cancelled)[0], liked, atol=1e-6)
    assert (query.contributions(cancelled, np.array([4], np.int32))[2:] == 0).all()


def test_only_dislikes_score_all_items_alike(query: MatrixQuery) -> None:
    history = Histories.single([1, 2], [-1, -2])
    assert (query.scores(history) == 0).all()
    assert (query.contributions(history, np.array([0, 1], np.int32)) == 0).all()


def test_every_pair_is_in_one_group_of_its_own_user() -> None:
    world = worlds.two_groups(per_user=20)
    groups = Groups.of(world)
    random = np.random.default_rng(0)
    for size in (1, 7, 1000):
        batches = list(groups.batches(size, random))
        assert len(batches) == groups.steps(size)
        found = [
            (user, item)
            for users, items in batches
            for user, row in zip(users, items, strict=True)
            for item in row
            if item >= 0
        ]
        assert sorted(found) == sorted(zip(*world.matrix.nonzero(), strict=True))
        assert all(items.shape == (len(users), GROUP) for users, items in batches)


def test_collisions_are_found() -> None:
    liked = np.array([[3, 5, -1], [0, -1, -1]])
    assert module._collisions(liked, np.array([0, 2, 5]), 6).tolist() == [[False, False, True], [True, False, False]]


def test_a_fit_that_was_interrupted_ends_as_if_it_had_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY_S", -1)
    monkeypatch.setattr(loop, "TELL_EVERY_S", -1)
    world, config = worlds.two_groups(), make_config("matrix", SMALL | {"epochs": 6})
    whole = MatrixTrainer.fit(world, config, Options())

    def cancel(share: float, message: str) -> None:
        if message.startswith("epoch 4"):
            raise Cancelled()

    with pytest.raises(Cancelled):
        MatrixTrainer.fit(world, config, Options(checkpoints=tmp_path, progress=cancel))
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00003"]
    messages: list[str] = []
    options = Options(checkpoints=tmp_path, progress=lambda share, message: messages.append(message))
    again = MatrixTrainer.fit(world, config, options)
    assert messages[1].startswith("going on after epoch 3")
    for name in whole:
        np.testing.assert_array_equal(whole[name], again[name])


def test_training_is_judged_mildly_and_answers_as_sharply_as_finds_most() -> None:
    train, wanted = hold_out_last(worlds.two_groups(), 60, seed=0)
    config, told = make_config("matrix", SMALL | {"epochs": 1, "temperature": 0.3}), list[float]()
    arrays = MatrixTrainer.fit(train, config, Options(held=wanted, report=lambda epoch, value: told.append(value)))
    held = Held.of(train, wanted, seed=42)

    def value(part: float) -> float:
        query = MatrixTrainer.query({**arrays, "sharpness": np.array(part / 0.3)}, config)
        return held.ndcg(query.scores)

    assert told == pytest.approx([value(module.JUDGED)])
    assert value(float(arrays["sharpness"]) * 0.3) == pytest.approx(max(map(value, module.SHARPNESSES)))


def test_an_absurd_learning_rate_is_an_error_of_ours() -> None:
    with pytest.raises(NotFinite, match="Lower learning_rate"):
        fit("matrix", worlds.two_groups(), SMALL | {"learning_rate": 1e38, "weight_decay": 1})


@pytest.mark.parametrize(
    "wrong",
    [{"factors": 0}, {"loss": "hinge"}, {"temperature": 0}, {"negatives": 2}, {"batch": 1.5}, {"popularity": -1},
     {"learning_rate": -1}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(wrong))):
        MatrixConfig(**wrong)


def test_answers_need_neither_torch_nor_scipy() -> None:
    code = """
import sys, numpy as np
from recommender.engine.data.ids import Ids
from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.trainers import make_config, trainer
y = np.eye(3, dtype=np.float32)
tower = {"attention": y[0], "recency": np.zeros(16, np.float32), "inner": y, "inner_bias": y[0], "outer": y,
         "outer_bias": y[0]}
for name, arrays in (
    ("matrix", {"item_vectors": y, "sample_rows": np.array([0, 1]), "sharpness": np.array(2.0)}),
    ("two_tower", {"item_vectors": y, **tower}),
):
    query = trainer(name).query(arrays, make_config(name, {}))
    query.scores(Histories.single([0, 1]))
    query.contributions(Histories.single([0, 1]), np.array([2]))
print(sorted({"torch", "scipy", "pandas", "threadpoolctl"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
