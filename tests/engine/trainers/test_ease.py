from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import pytest

from recommender.engine.data.interactions import UNKNOWN, Histories, Interactions
from recommender.engine.errors import Cancelled, InvalidConfig, NotFinite, TooLarge
from recommender.engine.trainers import Options, ease, make_config
from recommender.engine.trainers.ease import EaseConfig, EaseTrainer
from tests import worlds
from tests.contracts.trainer import TrainerContract, fit


class TestEase(TrainerContract):
    name = "ease"


@pytest.fixture(scope="module")
def shop() -> Interactions:
    """The two groups with weights of all sizes, a fifth of them negative, and repeats."""
    data = worlds.two_groups()
    random = np.random.default_rng(3)
    weights = random.lognormal(0, 1, len(data)) * np.where(random.random(len(data)) < 0.2, -1, 1)
    return Interactions.build(data.users, data.items, data.user_rows, data.item_rows, weights)


def closed_form(data: Interactions, config: EaseConfig) -> tuple[np.ndarray, np.ndarray]:
    """X and W as the paper has them, with full matrices in float64."""
    x = data.matrix.toarray().astype(np.float64)
    x = np.sign(x) * np.abs(x) ** config.power
    lengths = (x != 0).sum(axis=1)
    gram = x.T @ (x * ((lengths / lengths.mean()) ** -config.user_power)[:, None])
    p = np.linalg.inv(gram + config.regularization * np.diag(gram).mean() * np.eye(len(gram)))
    w = -p / np.diag(p)
    np.fill_diagonal(w, 0)
    return x, w


@pytest.mark.parametrize("block", [7, 40, 256])
@pytest.mark.parametrize("power", [0.0, 0.5])
def test_what_is_served_is_the_paper_s_equation(
    shop: Interactions, power: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ease, "BLOCK", block)
    config = EaseConfig(power=power, regularization=0.5, half_life_items=0.0)
    x, w = closed_form(shop, config)
    query = fit("ease", shop, asdict(config))
    np.testing.assert_allclose(query.scores(shop.histories()), x @ w, rtol=1e-3, atol=1e-4)


def test_the_inverse_is_exact_enough() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(900, 700))
    a = x.T @ x + 50 * np.eye(700)
    ours = a.astype(np.float32)
    ease._invert_negative(ours, lambda share, message: None)
    np.testing.assert_allclose(ours, -np.linalg.inv(a), atol=2e-6)
    np.testing.assert_allclose(ours, ours.T, atol=1e-7)


def test_the_largest_weights_of_either_sign_are_kept(shop: Interactions) -> None:
    config = EaseConfig(neighbours=4)
    arrays = EaseTrainer.fit(shop, config, Options())
    _, w = closed_form(shop, config)
    size = -np.sort(-np.abs(w), axis=1)[:, :4]
    np.testing.assert_allclose(np.abs(arrays["weights"]), size, rtol=1e-3, atol=1e-5)
    assert (arrays["weights"] < 0).any()
    assert (arrays["rows"].dtype, arrays["weights"].dtype) == (np.int32, np.float32)


def test_items_that_nobody_took_cost_nothing_and_say_nothing() -> None:
    data = Interactions.build(worlds.numbered(3, "u"), worlds.numbered(50_000, "i"), [0, 0, 1, 1, 2], [7, 9, 7, 9, 30])
    arrays = EaseTrainer.fit(data, EaseConfig(memory_mib=1), Options())
    assert arrays["rows"][7, 0] == 9
    assert arrays["rows"][9, 0] == 7
    assert (arrays["rows"][[0, 30]] == UNKNOWN).all()


def test_a_catalogue_beyond_memory_gets_the_sparse_inverse_and_says_so() -> None:
    data = worlds.long_tail(users=400, items=2000)
    said: list[str] = []
    options = Options(progress=lambda share, message: said.append(message))
    arrays = {}
    for method, allowed in (("auto", 10), ("exact", 10), ("auto", 2), ("sparse", 10)):
        said.clear()
        config = EaseConfig(method=method, memory_mib=allowed, predictors=2)
        arrays[method, allowed] = EaseTrainer.fit(data, config, options)
        sparse = method == "sparse" or allowed == 2
        assert any("the exact inverse would take" in message for message in said) == sparse
    np.testing.assert_array_equal(arrays["auto", 10]["weights"], arrays["exact", 10]["weights"])
    np.testing.assert_array_equal(arrays["auto", 2]["weights"], arrays["sparse", 10]["weights"])
    assert not np.array_equal(arrays["auto", 10]["weights"], arrays["auto", 2]["weights"])


def test_the_sparse_method_with_all_predictors_answers_as_the_exact_one() -> None:
    random = np.random.default_rng(1)  # everybody takes half of all, so that each two items share a user
    users, items = np.nonzero(random.random((200, 30)) < 0.5)
    data = Interactions.build(
        worlds.numbered(200, "u"), worlds.numbered(33, "i"), users, items, random.choice([-1.0, 1.0, 2.0], len(users))
    )
    exact, sparse = (fit("ease", data, {"method": method, "power": 0.5}) for method in ("exact", "sparse"))
    np.testing.assert_allclose(sparse.scores(data.histories()), exact.scores(data.histories()), atol=1e-4)


class TestSparseEase(TrainerContract):
    name = "ease"
    config: ClassVar = {"method": "sparse", "predictors": 12}


@pytest.mark.parametrize("method", ["auto", "exact", "sparse"])
def test_what_does_not_fit_is_refused_before_it_starts(method: str) -> None:
    data = worlds.long_tail(users=2000, items=800)

    def never(share: float, message: str) -> None:
        raise AssertionError("started")

    config = EaseConfig(method=method, memory_mib=1)
    with pytest.raises(TooLarge, match="item_knn"):
        EaseTrainer.fit(data, config, Options(progress=never))


def test_an_inverse_is_cancelled_between_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "BLOCK", 8)
    calls: list[str] = []

    def cancel(share: float, message: str) -> None:
        calls.append(message)
        if share > 0.5:
            raise Cancelled()

    with pytest.raises(Cancelled):
        EaseTrainer.fit(worlds.two_groups(), EaseConfig(), Options(progress=cancel))
    assert calls[-1].startswith("inverting")


def test_a_disliked_item_takes_its_friends_down() -> None:
    query = fit("ease", worlds.two_groups(), {})
    liked, disliked = (query.scores(Histories.single([0], [weight]))[0] for weight in (1, -1))
    np.testing.assert_allclose(liked, -disliked)


def test_later_items_count_more() -> None:
    query = fit("ease", worlds.two_groups(), {"half_life_items": 1.0})
    first, last = (query.scores(Histories.single([row]))[0] for row in (0, 2))
    np.testing.assert_allclose(query.scores(Histories.single([0, 2]))[0], first / 2 + last, rtol=1e-4, atol=1e-6)


def test_numbers_too_large_to_learn_from_are_an_error_of_ours() -> None:
    data = worlds.two_groups()
    huge = Interactions.build(data.users, data.items, data.user_rows, data.item_rows, np.full(len(data), 1e30))
    with pytest.raises(NotFinite):
        fit("ease", huge, {"power": 1.0})


@pytest.mark.parametrize(
    "wrong",
    [
        {"regularization": 0},
        {"power": float("nan")},
        {"neighbours": 0},
        {"user_power": -1},
        {"memory_mib": 0.5},
        {"method": "dense"},
        {"predictors": 0},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        make_config("ease", wrong)


def test_a_config_survives_json() -> None:
    config = EaseConfig(neighbours=16)
    assert make_config("ease", asdict(config)) == config
