from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import InvalidConfig, NotFinite
from recommender.engine.trainers import Options, make_config
from recommender.engine.trainers.als import AlsConfig, AlsTrainer
from tests import worlds
from tests.contracts.trainer import TrainerContract, fit

SMALL: dict[str, Any] = {"factors": 8, "iterations": 10}


class TestAls(TrainerContract):
    name = "als"
    config: ClassVar = {"factors": 2, "iterations": 10}


@pytest.fixture(scope="module")
def disliking() -> Interactions:
    """The two groups with weights of all sizes, a fifth of them negative, and repeats."""
    data = worlds.two_groups()
    random = np.random.default_rng(3)
    weights = random.lognormal(0, 1, len(data)) * np.where(random.random(len(data)) < 0.2, -1, 1)
    return Interactions.build(data.users, data.items, data.user_rows, data.item_rows, weights)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 20.0])
def test_fold_in_equals_what_implicit_computes_for_a_user(disliking: Interactions, alpha: float) -> None:
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    config = AlsConfig(**SMALL, alpha=alpha)
    arrays = AlsTrainer.fit(disliking, config, Options())
    peer = AlternatingLeastSquares(factors=config.factors, regularization=float(arrays["lambda"]), num_threads=1)
    peer.item_factors, peer.user_factors = arrays["item_vectors"], arrays["user_vectors"]
    confidence = csr_matrix(disliking.matrix)
    confidence.data = np.sign(confidence.data) * (1 + alpha * np.abs(confidence.data))
    query = AlsTrainer.query(arrays, config)
    ours = query.vectors(disliking.histories())
    with threadpool_limits(limits=1, user_api="blas"):
        theirs = peer.recalculate_user(np.arange(len(disliking.users)), confidence)
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-4)
        rows, scores = peer.recommend(
            np.arange(len(disliking.users)), confidence, N=5, recalculate_user=True, filter_already_liked_items=False
        )
    np.testing.assert_allclose(np.take_along_axis(query.scores(disliking.histories()), rows, 1), scores, atol=1e-3)


def test_fold_in_solves_the_paper_s_equation(disliking: Interactions) -> None:
    """x = (Y' C Y + lambda I)^-1 Y' C p, written out with full matrices in float64."""
    config = AlsConfig(**SMALL, alpha=3.0)
    arrays = AlsTrainer.fit(disliking, config, Options())
    y = arrays["item_vectors"].astype(np.float64)
    weights = disliking.matrix[4].toarray()[0].astype(np.float64)
    confidence, preference = np.diag(1 + 3.0 * np.abs(weights)), (weights > 0).astype(np.float64)
    expected = np.linalg.solve(y.T @ confidence @ y + arrays["lambda"] * np.eye(8), y.T @ confidence @ preference)
    query = AlsTrainer.query(arrays, config)
    np.testing.assert_allclose(query.vectors(disliking.histories([4]))[0], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("users", [4, 20, 400])
def test_lambda_grows_with_the_shop_so_that_none_is_left_with_zeros(users: int) -> None:
    data = worlds.two_groups(users=users)
    arrays = AlsTrainer.fit(data, AlsConfig(factors=4, regularization=0.9), Options())
    pairs = data.matrix.nnz
    items = len(np.unique(data.item_rows))
    assert arrays["lambda"] == pytest.approx(0.9 * pairs / np.sqrt(users * items))
    assert np.abs(arrays["item_vectors"]).max() > 0.01


def test_a_disliked_recommendation_falls() -> None:
    query = fit("als", worlds.two_groups(), SMALL)
    liked = query.scores(Histories.single([0, 2, 4]))[0]
    best = max(set(range(40)) - {0, 2, 4}, key=lambda row: liked[row])
    then_disliked = query.scores(Histories.single([0, 2, 4, best], [1, 1, 1, -5]))[0]
    assert then_disliked[best] < 0.9 * liked[best]


def test_events_that_cancel_out_say_nothing() -> None:
    query = fit("als", worlds.two_groups(), SMALL)
    cancelled = Histories.single([0, 2, 8, 8], [1, 1, 3, -3])
    np.testing.assert_allclose(query.scores(cancelled), query.scores(Histories.single([0, 2])), atol=1e-6)
    assert (query.contributions(cancelled, np.array([4], np.int32))[2:] == 0).all()


def test_a_million_repeats_stay_finite() -> None:
    scores = fit("als", worlds.two_groups(), SMALL).scores(Histories.single([2] * 1000, [1000.0] * 1000))
    assert np.isfinite(scores).all()


def test_numbers_too_large_to_learn_from_are_an_error_of_ours() -> None:
    data = worlds.two_groups()
    huge = Interactions.build(data.users, data.items, data.user_rows, data.item_rows, np.full(len(data), 1e30))
    with pytest.raises(NotFinite), np.errstate(all="ignore"):
        fit("als", huge, SMALL)


@pytest.mark.parametrize(
    "wrong",
    [{"factors": 0}, {"factors": 8.5}, {"regularization": 0}, {"regularization": float("nan")}, {"alpha": -1},
     {"iterations": 0}, {"alpha": float("inf")}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        make_config("als", wrong)


def test_a_config_survives_json() -> None:
    config = AlsConfig(factors=16)
    assert make_config("als", asdict(config)) == config
