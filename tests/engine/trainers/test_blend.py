import json
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import Cancelled, InvalidConfig, NotFinite, TooLarge, UnknownName
from recommender.engine.trainers import KnowsNeighbours, Options, Query, make_config
from recommender.engine.trainers.als import AlsTrainer
from recommender.engine.trainers.blend import SCALES, BlendConfig, BlendQuery, BlendTrainer, parts_of
from recommender.engine.trainers.ease import EaseTrainer
from recommender.engine.trainers.item_knn import ItemKnnTrainer
from recommender.engine.trainers.neighbours import NeighboursQuery
from recommender.engine.trainers.parts import PRIOR_USERS, Judge, Panel, cut, learn, mix, search
from tests import worlds
from tests.contracts.trainer import TrainerContract, fit

SMALL: dict[str, Any] = {"parts": ("item_knn", "als"), "configs": {"als": {"factors": 2, "iterations": 5}}}
MIXED: dict[str, Any] = {**SMALL, "weights": (0.25, 0.75)}
USERS, ITEMS = 400, 60


class TestBlend(TrainerContract):
    name = "blend"
    config: ClassVar = SMALL


class TestBlendOfRanks(TrainerContract):
    name = "blend"
    config: ClassVar = {**MIXED, "method": "reciprocal_rank"}


class TestBlendWithKnownWeights(TrainerContract):
    name = "blend"
    config: ClassVar = {**SMALL, "parts": ("popularity", "item_knn", "als"), "weights": (0.02, 0.5, 0.48)}


class Fixed:
    """Answers user v of `judged` with row v, whatever the history; or everyone with the first."""

    item_vectors = None

    def __init__(self, rows: Any, by_user: bool = True) -> None:
        self.rows, self.by_user = np.asarray(rows, dtype=np.float32), by_user

    def scores(self, histories: Histories) -> Any:
        return self.rows[histories.times if self.by_user else np.zeros(len(histories), int)]


def judged(truth: Any) -> Judge:
    """Users with one event each, of the last item, which nobody wants, told apart by its time; truth (V, N)."""
    users, items = truth.shape
    owners, wanted = np.nonzero(truth)
    histories = Histories(
        np.arange(users + 1), np.full(users, items - 1, np.int32), np.ones(users, np.float32), np.arange(users)
    )
    indptr = np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=users))))
    return Judge(histories, wanted.astype(np.int32), indptr.astype(np.int64), items)


@pytest.fixture(scope="module")
def halves() -> tuple[Judge, list[Query]]:
    """Two parts that each see one of two signs of what a user wants, beside noise, and one that sees nothing."""
    random = np.random.default_rng(5)
    signs = random.standard_normal((2, USERS, ITEMS))
    wanted = signs.sum(axis=0) + 0.2 * random.standard_normal((USERS, ITEMS))
    wanted[:, -1] = -np.inf
    truth = wanted >= np.sort(wanted, axis=1)[:, -3:-2]
    return judged(truth), [Fixed(signs[0]), Fixed(7 + 20 * signs[1]), Fixed(random.random((USERS, ITEMS)))]  # type: ignore[list-item]


def panel(judge: Judge, queries: list[Query]) -> Panel:
    return judge.panel(queries, SCALES["linear"], lambda share, message: None)


def silent(share: float, message: str) -> None:
    pass


def test_two_halves_of_the_truth_are_better_than_each(halves: tuple[Judge, list[Query]]) -> None:
    judge, queries = halves
    mixture = mix(panel(judge, queries), silent)
    alone = max(judge.ndcg(query).mean() for query in queries)
    assert mixture.values.mean() > 1.3 * alone
    np.testing.assert_allclose(mixture.weights, [0.5, 0.5, 0], atol=0.1)  # equal in spread, though 20 times as large


def test_a_useless_part_weighs_nothing(halves: tuple[Judge, list[Query]]) -> None:
    judge, queries = halves
    assert mix(panel(judge, queries), silent).weights[2] == 0
    np.testing.assert_array_equal(mix(panel(judge, [queries[0], queries[2]]), silent).weights, [1, 0])


def test_weights_are_as_good_as_any_on_a_fine_grid(halves: tuple[Judge, list[Query]]) -> None:
    judge, queries = halves
    compared = panel(judge, queries)
    grid = [np.array([a, b, 20 - a - b]) / 20 for a, b in product(range(21), repeat=2) if a + b <= 20]
    best = max(compared.ndcg(weights).mean() for weights in grid)
    weights = search(compared, silent)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    assert compared.ndcg(weights).mean() > 0.998 * best


def test_learned_weights_are_drawn_towards_equal_ones(halves: tuple[Judge, list[Query]]) -> None:
    judge, queries = halves
    compared = panel(
        judge, [Fixed(queries[0].scores(judge.histories) * 3 + queries[1].scores(judge.histories)), *queries]
    )  # type: ignore[list-item]
    found, learned = search(compared, silent), learn(compared, silent)
    used = found > 0
    trust = len(compared.values) / (len(compared.values) + PRIOR_USERS)
    np.testing.assert_allclose(learned[used], trust * found[used] + (1 - trust) / used.sum())
    assert 0 < trust < 1
    assert not learned[~used].any()


def test_joined_panels_hold_every_user_of_each(halves: tuple[Judge, list[Query]]) -> None:
    judge, queries = halves
    whole = panel(judge, queries)
    fewer = Panel(whole.values[:, :40], whole.valid[:, :40], whole.hits[:, :40], whole.relevant)
    weights = np.array([0.5, 0.3, 0.2])
    joined = Panel.joined([whole, fewer])
    np.testing.assert_allclose(joined.ndcg(weights), np.concatenate((whole.ndcg(weights), fewer.ndcg(weights))))


def test_a_panel_finds_what_all_scores_find(halves: tuple[Judge, list[Query]]) -> None:
    judge, queries = halves
    weights = np.array([0.6, 0.3, 0.1])
    scores = sum(w * SCALES["linear"](q.scores(judge.histories)) for w, q in zip(weights, queries, strict=True))
    np.testing.assert_allclose(panel(judge, queries).ndcg(weights), judge.ndcg(Fixed(scores)), atol=1e-9)  # type: ignore[arg-type]


def test_few_users_are_not_enough_to_mix_by(halves: tuple[Judge, list[Query]]) -> None:
    judge, queries = halves
    few = panel(judge, queries).of(np.arange(USERS) < 30)
    assert sorted(mix(few, silent).weights) == [0, 0, 1]


def test_a_mixture_that_does_not_gain_on_other_users_is_not_taken() -> None:
    """Four parts of pure noise: something is always a little better on those it was learned from."""
    single = 0
    for seed in range(5):
        random = np.random.default_rng(seed)
        truth = random.random((80, 40)) < 0.05
        truth[:, 0], truth[:, -1] = True, False
        queries: list[Any] = [Fixed(random.random((80, 40))) for _ in range(4)]
        compared = panel(judged(truth), queries)
        mixture = mix(compared, silent)
        best = max(compared.ndcg(corner).mean() for corner in np.eye(4))
        assert mixture.values.mean() >= best
        single += np.count_nonzero(mixture.weights) == 1
    assert single >= 1  # where what was learned loses on the rest


def test_ndcg_is_worked_out_by_hand() -> None:
    truth = np.zeros((2, 12), bool)
    truth[0, [1, 3]], truth[1, 4] = True, True
    scores = -np.tile(np.arange(12.0), (2, 1))
    found = judged(truth).ndcg(Fixed(scores))  # type: ignore[arg-type]
    discount = 1 / np.log2([3, 5, 6])
    np.testing.assert_allclose(found, [(discount[0] + discount[1]) / (1 + 1 / np.log2(3)), discount[2]])


def test_what_users_have_is_hidden_from_the_judge() -> None:
    data = Interactions.build(worlds.numbered(1, "u"), worlds.numbered(3, "i"), [0, 0], [0, 1], times=[1, 2])
    held = Interactions.build(data.users, data.items, [0, 0, 0], [1, 2, 0], [1, 1, -1], times=[3, 4, 5])
    judge = Judge.of(data, held, 10, 0)
    assert judge is not None
    assert judge.item_rows.tolist() == [2]  # 1 is known, 0 disliked
    assert judge.ndcg(Fixed(np.tile([3.0, 2.0, 1.0], (3, 1))[:1], by_user=False)).tolist() == [1.0]  # type: ignore[arg-type]


def test_where_a_cut_in_time_leaves_newcomers_only_the_last_events_are_held_out() -> None:
    data = worlds.two_groups()  # whose times rise from user to user
    rest, judge = cut(data, 0.15, 1000, Options())
    assert judge is not None
    assert len(judge) > 30
    assert (np.diff(data.indptr) - np.diff(rest.indptr)).max() == 1


def test_scores_are_the_weighted_parts_in_units_of_their_spread() -> None:
    data = worlds.two_groups()
    histories = data.histories([1, 2, 5])
    expected = np.zeros((3, len(data.items)))
    for name, weight in (("item_knn", 0.25), ("als", 0.75)):
        own = fit(name, data, SMALL["configs"].get(name, {})).scores(histories).astype(np.float64)
        expected += weight * own / own.std(axis=1, keepdims=True)
    np.testing.assert_allclose(fit("blend", data, MIXED).scores(histories), expected, rtol=1e-4, atol=1e-5)


def test_ranks_are_counted_from_the_best_and_equals_share_theirs() -> None:
    scores = np.array([[3.0, 1.0, 3.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(SCALES["reciprocal_rank"](scores), [[1 / 61, 1 / 63, 1 / 61, 1 / 64]], rtol=1e-6)


def test_scores_all_alike_add_nothing() -> None:
    assert (SCALES["linear"](np.full((1, 5), 0.3, np.float32)) == 0).all()


def test_what_no_event_accounts_for_is_shared_by_all() -> None:
    data = worlds.two_groups()
    query = fit("blend", data, {"parts": ("popularity", "item_knn"), "weights": (0.5, 0.5)})
    history, items = Histories.single([0, 2]), np.array([5], np.int32)  # an item that item_knn has nothing to say of
    np.testing.assert_allclose(query.contributions(history, items)[:, 0], query.scores(history)[0, 5] / 2, rtol=1e-5)


def test_one_part_alone_is_served_as_itself() -> None:
    data = worlds.two_groups()
    arrays = BlendTrainer.fit(data, make_config("blend", {**SMALL, "weights": (1, 0)}), Options())
    assert [part.name for part in parts_of(arrays)] == ["item_knn"]
    assert not any(key.startswith("als/") for key in arrays)
    query = BlendTrainer.query(arrays, BlendConfig())
    assert isinstance(query, NeighboursQuery)
    vectors = fit("blend", data, {"parts": ("als",), "configs": {"als": {"factors": 2}}}).item_vectors
    assert vectors is not None
    assert vectors.shape == (40, 2)


def test_a_blend_knows_neighbours() -> None:
    query = fit("blend", worlds.two_groups(), MIXED)
    assert isinstance(query, KnowsNeighbours)
    rows, scores = query.neighbours(4, 5)
    assert (rows % 2 == 0).all()
    assert 4 not in rows
    assert (np.diff(scores) <= 0).all()


def test_user_vectors_are_not_kept() -> None:
    arrays = BlendTrainer.fit(worlds.two_groups(), make_config("blend", MIXED), Options())
    assert "als/item_vectors" in arrays
    assert "als/user_vectors" not in arrays


def test_after_the_choice_parts_learn_from_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    data, sizes = worlds.two_groups(), []
    real = ItemKnnTrainer.fit

    def counted(data: Interactions, *rest: Any) -> Any:
        sizes.append(len(data))
        return real(data, *rest)

    monkeypatch.setattr(ItemKnnTrainer, "fit", staticmethod(counted))
    alone = make_config("blend", {"parts": ("item_knn",)})
    BlendTrainer.fit(data, alone, Options())
    assert sizes[0] < sizes[1] == len(data)
    sizes.clear()
    BlendTrainer.fit(data, alone, Options(held=data))  # events given to judge by: all of data is to learn from
    assert sizes == [len(data)]


def test_a_part_that_cannot_be_fitted_is_done_without_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    data = worlds.two_groups()
    config = make_config("blend", {"parts": ("ease", "item_knn"), "weights": (0.9, 0.1)})
    monkeypatch.setattr(EaseTrainer, "fit", staticmethod(_fails(TooLarge("Much."))))
    arrays = BlendTrainer.fit(data, config, Options(progress=lambda share, message: said.append(message)))
    assert [part.name for part in parts_of(arrays)] == ["item_knn"]
    assert arrays["weights"].tolist() == [1.0]
    assert any("ease is left out" in message and "Much." in message for message in said)
    monkeypatch.setattr(ItemKnnTrainer, "fit", staticmethod(_fails(NotFinite())))
    with pytest.raises(NotFinite):
        BlendTrainer.fit(data, config, Options())
    monkeypatch.setattr(EaseTrainer, "fit", staticmethod(_fails(Cancelled())))
    with pytest.raises(Cancelled):
        BlendTrainer.fit(data, config, Options())


def _fails(error: Exception) -> Any:
    def fit(*args: Any) -> Any:
        raise error

    return fit


def test_every_part_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folders: list[Path | None] = []
    for kind in (AlsTrainer, ItemKnnTrainer):
        real = kind.fit

        def noted(data: Any, config: Any, options: Options, real: Any = real) -> Any:
            folders.append(options.checkpoints)
            return real(data, config, options)

        monkeypatch.setattr(kind, "fit", staticmethod(noted))
    BlendTrainer.fit(worlds.two_groups(), make_config("blend", SMALL), Options(checkpoints=tmp_path))
    assert len(set(folders)) == len(folders) >= 3
    assert all(folder is not None and tmp_path in folder.parents for folder in folders)


def test_what_was_settled_learns_the_same_mixture() -> None:
    data = worlds.two_groups()
    config = make_config("blend", {**SMALL, "parts": ("popularity", "als", "item_knn"), "weights": (0, 3, 1)})
    arrays = BlendTrainer.fit(data, config, Options())
    settled = BlendTrainer.settled(arrays, config)
    assert settled.parts == ("als", "item_knn")
    assert settled.weights == (0.75, 0.25)
    again = BlendTrainer.fit(data, settled, Options())
    for key in arrays:
        np.testing.assert_array_equal(arrays[key], again[key])


@pytest.mark.parametrize(
    "wrong",
    [{"parts": ()}, {"parts": ("als", "als")}, {"parts": ("blend",)}, {"parts": ("auto", "als")},
     {"parts": ("als",), "configs": {"ease": {}}}, {"parts": ("als",), "configs": {"als": {"factors": 0}}},
     {"method": "average"}, {"weights": (1.0,)}, {"parts": ("als",), "weights": (0.0,)},
     {"parts": ("als",), "weights": (-1.0,)}, {"parts": ("als",), "weights": (float("nan"),)},
     {"share": 0.0}, {"users": 0}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        make_config("blend", wrong)


def test_an_unknown_part_is_refused_by_name() -> None:
    with pytest.raises(UnknownName, match="no_such"):
        make_config("blend", {"parts": ("no_such",)})


def test_a_config_survives_json() -> None:
    config = make_config("blend", {**MIXED, "parts": ("spectral_dense", "als")})
    assert make_config("blend", json.loads(json.dumps(asdict(config)))) == config
    assert replace(config, users=7).parts == ("spectral_dense", "als")


def test_a_query_is_answered_without_the_config_it_was_learned_with() -> None:
    arrays = BlendTrainer.fit(worlds.two_groups(), make_config("blend", MIXED), Options())
    assert isinstance(BlendTrainer.query(arrays, BlendConfig()), BlendQuery)
