"""What every trainer promises. A trainer's own test file subclasses this and gives its name."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import Cancelled, InvalidConfig, NoData
from recommender.engine.model import open_model, write_model
from recommender.engine.trainers import Options, Query, make_config, trainer
from tests import worlds

EMPTY = Histories.single([])


def fit(name: str, data: Interactions, config: dict[str, Any], options: Options | None = None) -> Query:
    kind, made = trainer(name), make_config(name, config)
    return kind.query(kind.fit(data, made, options or Options()), made)


class TrainerContract:
    name: ClassVar[str]
    config: ClassVar[dict[str, Any]] = {}
    """Settings small enough for the worlds."""
    personal: ClassVar[bool] = True
    """Whether answers depend on the history."""

    @pytest.fixture(scope="class")
    @classmethod
    def world(cls) -> Interactions:
        return worlds.two_groups()

    @pytest.fixture(scope="class")
    @classmethod
    def query(cls, world: Interactions) -> Query:
        return fit(cls.name, world, cls.config)

    def test_fit_gives_finite_arrays(self, world: Interactions) -> None:
        arrays = trainer(self.name).fit(world, make_config(self.name, self.config), Options())
        assert arrays
        assert all(np.isfinite(array).all() for array in arrays.values() if array.dtype.kind == "f")

    def test_scores_have_a_row_per_history_and_a_column_per_item(self, query: Query, world: Interactions) -> None:
        scores = query.scores(world.histories([3, 1, 2]))
        assert scores.shape == (3, len(world.items))
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()

    def test_a_score_is_the_inner_product_of_vectors(self, query: Query, world: Interactions) -> None:
        if query.item_vectors is None:
            pytest.skip("has no vectors")
        histories = world.histories()
        assert query.item_vectors.dtype == query.vectors(histories).dtype == np.float32
        np.testing.assert_allclose(
            query.vectors(histories) @ query.item_vectors.T, query.scores(histories), rtol=1e-4, atol=1e-5
        )

    def test_the_same_seed_gives_the_same_arrays(self, world: Interactions) -> None:
        kind, config = trainer(self.name), make_config(self.name, self.config)
        first, second = (kind.fit(world, config, Options(seed=7)) for _ in range(2))
        assert set(first) == set(second)
        for key in first:
            np.testing.assert_array_equal(first[key], second[key])

    def test_learns_the_two_groups(self, query: Query, world: Interactions) -> None:
        if not self.personal:
            pytest.skip("gives everyone the same")
        best = np.argsort(-query.scores(world.histories()), axis=1)[:, :10]
        own = best % 2 == (np.arange(len(world.users)) % 2)[:, None]
        assert own.mean() > 0.99

    def test_one_by_one_equals_batch(self, query: Query, world: Interactions) -> None:
        users = [0, 5, 11]
        batch = query.scores(world.histories(users))
        single = np.concatenate([query.scores(world.histories([user])) for user in users])
        np.testing.assert_allclose(batch, single, rtol=1e-4, atol=1e-5)

    def test_an_empty_history_is_allowed(self, query: Query, world: Interactions) -> None:
        scores = query.scores(EMPTY)
        assert scores.shape == (1, len(world.items))
        assert np.isfinite(scores).all()
        assert query.contributions(EMPTY, np.array([0, 1], np.int32)).shape == (0, 2)

    def test_no_history_at_all_is_allowed(self, query: Query, world: Interactions) -> None:
        nobody = Histories(np.zeros(1, np.int64), *(np.empty(0, dtype) for dtype in (np.int32, np.float32, np.int64)))
        assert query.scores(nobody).shape == (0, len(world.items))

    def test_repeats_and_dislikes_are_allowed(self, query: Query) -> None:
        scores = query.scores(Histories.single([0, 2, 0, 4, 4, 6], [1, 1, 2, -3, 3, -1]))
        assert np.isfinite(scores).all()

    def test_an_empty_history_beside_a_full_one_changes_nothing(self, query: Query) -> None:
        both = Histories(
            np.array([0, 0, 2], np.int64), np.array([0, 2], np.int32), np.ones(2, np.float32), np.zeros(2, np.int64)
        )
        np.testing.assert_allclose(
            query.scores(both)[1], query.scores(Histories.single([0, 2]))[0], rtol=1e-4, atol=1e-5
        )

    def test_contributions_sum_to_scores(self, query: Query) -> None:
        if not self.personal:
            pytest.skip("gives everyone the same")
        history = Histories.single([0, 2, 0, 4, 6, 8], [1, 0.5, 2, 3, -1, 0.25])
        items = np.array([2, 10, 11, 39], np.int32)
        contributions = query.contributions(history, items)
        assert contributions.shape == (6, 4)
        np.testing.assert_allclose(contributions.sum(axis=0), query.scores(history)[0][items], rtol=1e-3, atol=1e-5)

    def test_progress_rises_to_one_and_may_cancel(self, world: Interactions) -> None:
        kind, config = trainer(self.name), make_config(self.name, self.config)
        shares: list[float] = []
        kind.fit(world, config, Options(progress=lambda share, message: shares.append(share)))
        assert shares == sorted(shares)
        assert shares
        assert 0 <= shares[0] <= shares[-1] <= 1

        def cancel(share: float, message: str) -> None:
            raise Cancelled()

        with pytest.raises(Cancelled):
            kind.fit(world, config, Options(progress=cancel))

    @pytest.mark.parametrize("data", [worlds.nothing(), worlds.only_dislikes()], ids=["nothing", "only dislikes"])
    def test_no_data_is_an_error(self, data: Interactions) -> None:
        with pytest.raises(NoData):
            fit(self.name, data, self.config)

    @pytest.mark.parametrize("data", [worlds.single_user(), worlds.one_item()], ids=["one user", "one item"])
    def test_the_smallest_shops_train(self, data: Interactions) -> None:
        scores = fit(self.name, data, self.config).scores(data.histories())
        assert scores.shape == data.shape
        assert np.isfinite(scores).all()

    def test_an_unknown_setting_is_refused(self) -> None:
        with pytest.raises(InvalidConfig, match="no_such_setting"):
            make_config(self.name, {"no_such_setting": 1})

    def test_every_value_to_search_is_valid(self) -> None:
        from recommender.engine.evaluation.tuning import search_space

        for field, values in search_space(self.name).items():
            for value in values:
                make_config(self.name, {field: value})

    def test_answers_the_same_from_disk(self, query: Query, world: Interactions, tmp_path: Path) -> None:
        kind, config = trainer(self.name), make_config(self.name, self.config)
        model = open_model(write_model(tmp_path, "run-1", self.name, config, kind.fit(world, config, Options()), world))
        histories = world.histories([0, 1])
        np.testing.assert_allclose(model.query.scores(histories), query.scores(histories), rtol=1e-5, atol=1e-6)
        rows, scores = model.recommend(histories, 5)
        best = np.sort(query.scores(histories), axis=1)[:, :-6:-1]
        np.testing.assert_allclose(scores, best, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(np.take_along_axis(query.scores(histories), rows, 1), best, rtol=1e-4, atol=1e-5)
