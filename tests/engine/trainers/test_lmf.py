from dataclasses import asdict, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from recommender.engine.data.interactions import Interactions
from recommender.engine.errors import InvalidConfig, NotFinite
from recommender.engine.trainers import Options, make_config
from recommender.engine.trainers.lmf import LmfConfig, LmfTrainer
from tests import worlds
from tests.contracts.trainer import TrainerContract, fit

SMALL: dict[str, Any] = {"factors": 8, "iterations": 30}


class TestLmf(TrainerContract):
    name = "lmf"
    config: ClassVar = SMALL


def test_two_threads_give_the_same_arrays_twice() -> None:
    first, second = (LmfTrainer.fit(worlds.two_groups(), LmfConfig(**SMALL), Options(threads=2)) for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_users_of_training_put_what_they_have_before_what_they_have_not() -> None:
    data = worlds.two_groups()
    arrays = LmfTrainer.fit(data, LmfConfig(**SMALL), Options())
    assert (arrays["user_vectors"][:, -1] == 1).all()  # what carries an item's bias into the inner product
    scores = arrays["user_vectors"] @ arrays["item_vectors"].T
    taken = data.matrix.toarray() > 0
    auc = np.mean([(s[t][:, None] > s[~t]).mean() for s, t in zip(scores, taken, strict=True)])
    assert auc > 0.85  # to know the groups only is .80


def test_a_newcomer_s_answers_are_like_those_of_who_has_the_same() -> None:
    data = worlds.two_groups()
    arrays = LmfTrainer.fit(data, LmfConfig(**SMALL), Options())
    folded = LmfTrainer.query(arrays, LmfConfig(**SMALL)).scores(data.histories())
    learned = arrays["user_vectors"] @ arrays["item_vectors"].T
    together = [np.corrcoef(a, b)[0, 1] for a, b in zip(folded, learned, strict=True)]
    assert np.median(together) > 0.8


def test_weights_count() -> None:
    data = worlds.two_groups()
    heavy = Interactions.build(data.users, data.items, data.user_rows, data.item_rows, 1 + data.item_rows % 3)
    even, weighed = (LmfTrainer.fit(part, LmfConfig(**SMALL), Options())["item_vectors"] for part in (data, heavy))
    assert np.abs(even - weighed).max() > 0.01


def test_alpha_is_the_unit_of_weights() -> None:
    data = worlds.two_groups()
    doubled = Interactions.build(data.users, data.items, data.user_rows, data.item_rows, np.full(len(data), 2.0))
    a = LmfTrainer.fit(data, LmfConfig(**SMALL, alpha=2.0), Options())
    b = LmfTrainer.fit(doubled, LmfConfig(**SMALL, alpha=1.0), Options())
    np.testing.assert_array_equal(a["item_vectors"], b["item_vectors"])


def test_dislikes_teach_nothing() -> None:
    data = worlds.two_groups()
    disliked = np.random.default_rng(0).random(len(data)) < 0.2
    disliked &= (
        np.bincount(data.user_rows * 40 + data.item_rows, minlength=2400)[data.user_rows * 40 + data.item_rows] < 2
    )
    mixed = replace(data, weights=np.where(disliked, -1, 1).astype(np.float32))
    nothing_held = Options(held=data.where(np.zeros(len(data), np.bool_)))
    with_them, without = (
        LmfTrainer.fit(part, LmfConfig(**SMALL), nothing_held) for part in (mixed, mixed.where(~disliked))
    )
    np.testing.assert_array_equal(with_them["item_vectors"], without["item_vectors"])


def test_numbers_too_large_to_learn_from_are_an_error_of_ours() -> None:
    data = worlds.two_groups()
    huge = Interactions.build(data.users, data.items, data.user_rows, data.item_rows, np.full(len(data), 1e38))
    with pytest.raises(NotFinite), np.errstate(all="ignore"):
        fit("lmf", huge, {**SMALL, "alpha": 100.0})


@pytest.mark.parametrize(
    "wrong",
    [{"factors": 0}, {"learning_rate": 0}, {"regularization": -1}, {"alpha": 0}, {"alpha": float("inf")},
     {"negatives": 0}, {"negatives": 1.5}, {"iterations": 0}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        make_config("lmf", wrong)


def test_a_config_survives_json() -> None:
    config = LmfConfig(factors=16)
    assert make_config("lmf", asdict(config)) == config
