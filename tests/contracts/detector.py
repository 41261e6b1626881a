"""What every anomaly detector promises. A detector's own test file subclasses this and gives its name."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.engine.anomaly import Arrays, Opened, detector, make_config
from recommender.engine.errors import Cancelled, InvalidConfig, Misfit, NoData
from recommender.engine.options import Options

ODD = 8
PLANTED = (1, 3)  # the features in which planted rows are odd


def usual_rows(count: int = 300, features: int = 5, seed: int = 0) -> NDArray[np.float32]:
    """A blob whose features have units of their own and hang together in pairs."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, features))
    rows[:, 1] = 0.8 * rows[:, 0] + 0.6 * rows[:, 1]
    return (rows * [1, 100, 0.01, 5, 1000][:features] + [0, 500, 1, -20, 0][:features]).astype(np.float32)


def world(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Usual rows and ODD planted ones, far out in the features PLANTED; and which those are."""
    rows = usual_rows(seed=seed)
    odd = np.zeros(len(rows), dtype=np.bool_)
    odd[np.random.default_rng(seed + 1).choice(len(rows), ODD, replace=False)] = True
    rows[odd, 1] += 1000
    rows[odd, 3] -= 60
    return rows, odd


def auroc(scores: NDArray[np.float64], odd: NDArray[np.bool_]) -> float:
    """The share of pairs of an odd row and a usual one in which the odd one scores higher; ties count half."""
    above = scores[odd][:, None] - scores[~odd][None, :]
    return float((above > 0).mean() + (above == 0).mean() / 2)


class DetectorContract:
    name: ClassVar[str]
    config: ClassVar[dict[str, Any]] = {}
    """Settings small enough for a test."""
    same_from_any_place: ClassVar[bool] = True
    """Whether moving and stretching a feature changes nothing."""

    def learn(self, rows: NDArray[Any], options: Options | None = None, **config: Any) -> Arrays:
        made = make_config(self.name, {**self.config, **config})
        return detector(self.name).fit(rows, made, options or Options())

    def opened(self, arrays: Arrays) -> Opened:
        return detector(self.name).open(arrays, make_config(self.name, self.config))

    @pytest.fixture(scope="class")
    @classmethod
    def planted(cls) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        return world()

    @pytest.fixture(scope="class")
    @classmethod
    def arrays(cls, planted: tuple[NDArray[np.float32], NDArray[np.bool_]]) -> Arrays:
        return cls().learn(planted[0])

    def test_gives_finite_plain_arrays(self, arrays: Arrays) -> None:
        assert arrays
        for array in arrays.values():
            assert array.dtype.kind in "fi"
            assert np.isfinite(array).all()

    def test_finds_what_was_planted_without_labels(self, planted: Any, arrays: Arrays) -> None:
        rows, odd = planted
        scores = self.opened(arrays).scores(rows)
        assert scores.shape == (len(rows),)
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()
        assert auroc(scores, odd) > 0.97

    def test_finds_what_it_has_not_seen_when_all_was_usual(self) -> None:
        rows, odd = world(seed=5)
        scores = self.opened(self.learn(usual_rows())).scores(rows)
        assert auroc(scores, odd) > 0.97

    def test_names_the_features_that_are_odd(self, planted: Any, arrays: Arrays) -> None:
        rows, odd = planted
        contributions = self.opened(arrays).contributions(rows)
        assert contributions.shape == rows.shape
        assert contributions.dtype == np.float32
        assert np.isfinite(contributions).all()
        first = np.argsort(-contributions[odd], axis=1)[:, :2]
        assert np.isin(first, PLANTED).mean() >= 0.8

    def test_the_same_seed_gives_the_same_arrays(self, planted: Any, arrays: Arrays) -> None:
        again = self.learn(planted[0])
        assert set(again) == set(arrays)
        for key in arrays:
            np.testing.assert_array_equal(again[key], arrays[key])

    def test_a_score_depends_on_its_row_alone(self, planted: Any, arrays: Arrays) -> None:
        rows, _ = planted
        opened = self.opened(arrays)
        together, explained = opened.scores(rows), opened.contributions(rows)
        for row in (0, 7, 299):
            np.testing.assert_allclose(opened.scores(rows[row : row + 1]), together[row : row + 1], rtol=1e-5)
            np.testing.assert_allclose(
                opened.contributions(rows[row : row + 1])[0], explained[row], rtol=1e-3, atol=1e-4
            )

    def test_answers_the_same_from_disk(self, planted: Any, arrays: Arrays, tmp_path: Path) -> None:
        mapped = {}
        for number, (key, array) in enumerate(arrays.items()):
            np.save(tmp_path / f"{number}.npy", array, allow_pickle=False)
            mapped[key] = np.load(tmp_path / f"{number}.npy", mmap_mode="r", allow_pickle=False)
        rows = planted[0]
        np.testing.assert_array_equal(self.opened(mapped).scores(rows), self.opened(arrays).scores(rows))

    def test_no_rows_to_score_is_allowed(self, arrays: Arrays) -> None:
        none = np.empty((0, 5), dtype=np.float32)
        assert self.opened(arrays).scores(none).shape == (0,)
        assert self.opened(arrays).contributions(none).shape == (0, 5)

    def test_leaves_rows_alone_and_takes_read_only_ones_of_any_number(self, planted: Any, arrays: Arrays) -> None:
        rows = planted[0].copy()
        rows[3, 2], rows[4, 1] = np.nan, np.inf
        before = rows.copy()
        rows.flags.writeable = False
        opened = self.opened(self.learn(rows))
        opened.scores(rows)
        opened.contributions(rows)
        np.testing.assert_array_equal(rows, before)
        whole = np.round(planted[0]).astype(np.int64)
        for kind in (np.int64, np.float64, np.float32):
            scores = self.opened(self.learn(whole.astype(kind))).scores(whole.astype(kind))
            np.testing.assert_allclose(scores, self.opened(self.learn(whole)).scores(whole), rtol=1e-5)

    @pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf, 3e38], ids=["nan", "inf", "-inf", "huge"])
    def test_strange_values_are_learned_from_and_judged(self, planted: Any, strange: float) -> None:
        rows = planted[0].copy()
        rows[::7, 2] = strange
        rows[5] = strange
        opened = self.opened(self.learn(rows))
        assert np.isfinite(opened.scores(rows)).all()
        assert np.isfinite(opened.contributions(rows)).all()

    def test_infinities_are_extremes(self, arrays: Arrays, planted: Any) -> None:
        rows = np.median(usual_rows(), axis=0)[None].repeat(3, axis=0).astype(np.float32)
        rows[1, 1], rows[2, 1] = np.inf, planted[0][:, 1].max()
        usual, infinite, highest = self.opened(arrays).scores(rows)
        assert usual < infinite
        assert infinite == pytest.approx(highest)

    @pytest.mark.parametrize(
        "rows",
        [
            np.zeros((1, 3)),
            np.array([[1.0, np.nan, -np.inf]]),
            np.arange(15.0).reshape(5, 3),
            np.full((40, 3), 7.0),
            np.full((20, 3), np.nan),
            np.column_stack((np.arange(30.0), np.full(30, np.nan), np.ones(30), np.full(30, np.inf))),
            np.repeat([[0.0, 0.0], [1e6, -1e6]], 20, axis=0),
            np.full((12, 2), 1e-30) * np.arange(12)[:, None],
        ],
        ids=["one row", "one strange row", "five rows", "all equal", "all nan", "dead columns", "two heaps", "tiny"],
    )
    def test_poor_rows_give_finite_scores(self, rows: NDArray[np.float64]) -> None:
        opened = self.opened(self.learn(rows.astype(np.float32)))
        assert np.isfinite(opened.scores(rows.astype(np.float32))).all()
        unseen = np.concatenate((rows, rows + 1e3)).astype(np.float32)
        assert np.isfinite(opened.scores(unseen)).all()
        assert np.isfinite(opened.contributions(unseen)).all()

    def test_a_constant_column_changes_no_order(self, planted: Any) -> None:
        rows, odd = planted
        wider = np.concatenate((rows, np.full((len(rows), 1), 3.3, dtype=np.float32)), axis=1)
        opened = self.opened(self.learn(wider))
        assert auroc(opened.scores(wider), odd) > 0.97
        assert opened.contributions(wider)[:, 5].max() <= opened.contributions(wider)[:, :5].max()

    def test_equal_rows_score_equal(self) -> None:
        rows = np.full((40, 3), 7, dtype=np.float32)
        assert len(set(self.opened(self.learn(rows)).scores(rows))) == 1

    def test_all_rows_anomalous_still_ranks_what_is_farther(self) -> None:
        random = np.random.default_rng(2)
        rows = (random.standard_cauchy((200, 3)) * 1e3).astype(np.float32)
        scores = self.opened(self.learn(rows)).scores(rows)
        assert np.isfinite(scores).all()
        far = np.abs(rows).max(axis=1) > np.quantile(np.abs(rows).max(axis=1), 0.95)
        assert auroc(scores, far) > 0.8

    def test_rows_of_another_width_are_refused(self, arrays: Arrays) -> None:
        for wrong in (np.zeros((3, 4), np.float32), np.zeros((3, 6), np.float32), np.zeros(5, np.float32)):
            with pytest.raises(Misfit, match="5 were learned"):
                self.opened(arrays).scores(wrong)
            with pytest.raises(Misfit):
                self.opened(arrays).contributions(wrong)

    @pytest.mark.parametrize("size", [(0, 3), (3, 0), (0, 0)])
    def test_nothing_to_learn_from_is_an_error(self, size: tuple[int, int]) -> None:
        with pytest.raises(NoData):
            self.learn(np.empty(size, dtype=np.float32))

    def test_progress_rises_to_one_and_may_cancel(self, planted: Any) -> None:
        shares: list[float] = []
        self.learn(planted[0], Options(progress=lambda share, message: shares.append(share)))
        assert shares == sorted(shares)
        assert 0 <= shares[0] <= shares[-1] == 1

        def cancel(share: float, message: str) -> None:
            if share > 0:
                raise Cancelled()

        with pytest.raises(Cancelled):
            self.learn(planted[0], Options(progress=cancel))

    def test_an_unknown_setting_is_refused(self) -> None:
        with pytest.raises(InvalidConfig, match="no_such_setting"):
            make_config(self.name, {"no_such_setting": 1})
