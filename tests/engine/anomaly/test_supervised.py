"""What is learned from staff's decisions: worlds whose answer is known, a floor, and stepping aside."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.engine.anomaly import forest, learners, supervised
from recommender.engine.anomaly.supervised import CONFIRMED, RELEASED, UNKNOWN, Config
from recommender.engine.errors import Cancelled, InvalidConfig, Misfit, UnknownName
from recommender.engine.options import Options

SMALL = Config(trees=30)
Rows = NDArray[np.float32]


def world(rows: int, seed: int = 0, corner: bool = False) -> tuple[Rows, NDArray[np.bool_], NDArray[np.float64]]:
    """Features, what is so, and what a detector says that sees the third feature only.

    In truth the first feature says most; with `corner`, only where the second is above 0, which no straight line tells.
    """
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, 5)).astype(np.float32)
    first = 4 * values[:, 0] * (np.sign(values[:, 1]) if corner else 1)
    bad = first + values[:, 2] + random.logistic(size=rows) * 0.5 > 0.5
    alone = 1 / (1 + np.exp(-(values[:, 2] - 0.5 + random.normal(size=rows))))
    return values, bad, alone


def told(bad: NDArray[np.bool_], count: int) -> NDArray[np.int8]:
    """Labels of the first rows."""
    labels = np.full(len(bad), UNKNOWN, dtype=np.int8)
    labels[:count] = bad[:count]
    return labels


@pytest.mark.parametrize("count, corner, learner", [(80, False, "logistic"), (500, True, "forest")])
def test_it_acts_where_it_tells_decisions_better_and_is_right_about_others(count, corner, learner):
    values, bad, alone = world(1500, corner=corner)
    learned = supervised.fit(values, told(bad, count), alone, Options(), SMALL)
    facts = learned.facts
    assert learned.acts and facts["acts"] and facts["learner"] == learner and facts["why"] == ""
    assert facts["confirmed"] + facts["released"] == count
    assert facts["auroc"] > facts["auroc_without"] + 0.1 and facts["log_loss"] < facts["log_loss_without"]
    sure = supervised.probabilities(learned.arrays, values[count:], alone[count:])
    rest = bad[count:]
    found, before = (supervised.auroc(one, rest) for one in (sure, alone[count:]))
    assert found > 0.85 and found > before + 0.15
    assert abs(found - facts["auroc"]) < 0.1  # what it says of itself is so
    high = sure > 0.8
    assert abs(sure[high].mean() - rest[high].mean()) < 0.12  # calibrated
    parts = supervised.contributions(learned.arrays, values[count:], alone[count:])
    assert parts.shape == (len(rest), 5) and parts.dtype == np.float32
    assert set(np.abs(parts).mean(axis=0).argsort()[::-1][: 2 if corner else 1].tolist()) == ({0, 1} if corner else {0})
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize(
    "labels", [[], [CONFIRMED] * 60, [RELEASED] * 60, [CONFIRMED, RELEASED] * 19, [CONFIRMED] * 50 + [RELEASED] * 5]
)
def test_below_the_floor_the_detectors_stand_and_it_says_why(labels):
    values, _, alone = world(100)
    labels = np.array(labels + [UNKNOWN] * (100 - len(labels)))
    learned = supervised.fit(values, labels, alone, Options())
    assert not learned.acts and "20 of each are needed" in learned.facts["why"]
    assert learned.facts["confirmed"] == (labels == CONFIRMED).sum()
    assert (supervised.probabilities(learned.arrays, values, alone) == alone).all()
    assert not supervised.contributions(learned.arrays, values, alone).any()


def test_five_rows_and_none_are_below_the_floor():
    for rows in (5, 0):
        values, bad, alone = world(rows)
        assert not supervised.fit(values, bad.astype(int), alone, Options()).acts
        assert supervised.probabilities({}, values, alone).shape == (rows,)


def test_it_steps_aside_where_decisions_are_chance():
    values, _, alone = world(400)
    labels = np.random.default_rng(5).integers(0, 2, 400)
    learned = supervised.fit(values, labels, alone, Options(), SMALL)
    assert not learned.acts and "no better than the detectors" in learned.facts["why"]
    assert {"auroc", "log_loss", "auroc_without", "log_loss_without"} <= set(learned.facts)


def test_it_steps_aside_where_the_detectors_know_it_all():
    values, bad, _ = world(300)
    learned = supervised.fit(values, bad.astype(int), np.where(bad, 0.97, 0.02), Options(), SMALL)
    assert not learned.acts


def test_equal_rows_with_different_decisions_count_as_none_for_the_floor():
    values, bad, alone = world(60)
    twice = np.concatenate([values, values])
    labels = np.concatenate([bad, ~bad]).astype(int)
    learned = supervised.fit(twice, labels, np.concatenate([alone, alone]), Options())
    assert not learned.acts and learned.facts["contradicted"] == 120
    assert "there are 0 and 0" in learned.facts["why"]
    twice[0, 0] = twice[60, 0] = np.nan  # equal all the same
    assert supervised.fit(twice, labels, np.ones(120), Options()).facts["contradicted"] == 120


def test_a_few_contradictions_are_learned_as_the_share_they_are():
    values, bad, alone = world(400)
    labels = bad.astype(int)
    values[:20] = values[0]  # one row, twenty times; confirmed in half of the cases
    labels[:20] = [CONFIRMED, RELEASED] * 10
    learned = supervised.fit(values, labels, np.r_[np.full(20, alone[0]), alone[20:]], Options(), SMALL)
    assert learned.acts and learned.facts["contradicted"] == 20
    assert 0.25 < supervised.probabilities(learned.arrays, values[:1], alone[:1])[0] < 0.75


def test_equal_rows_are_in_one_fold():
    values, bad, _ = world(200)
    values[100:] = values[:100]
    folds = supervised._folds(supervised._groups(values), bad, 5, np.random.default_rng(0))
    assert (folds[:100] == folds[100:]).all()
    assert np.bincount(folds).min() >= 36


def test_values_that_are_no_numbers_and_columns_that_say_nothing_are_taken():
    values, bad, alone = world(300)
    values[::7, 1], values[::11, 3], values[::13, 4] = np.nan, np.inf, -np.inf
    values = np.column_stack([values, np.zeros(300), np.full(300, np.nan), np.full(300, np.inf)]).astype(np.float32)
    alone[5] = np.nan
    learned = supervised.fit(values, bad.astype(int), alone, Options(), SMALL)
    assert learned.acts and all(np.isfinite(array).all() for array in learned.arrays.values())
    strange = np.full((4, 8), np.nan, dtype=np.float32)
    strange[1], strange[2] = np.inf, -np.inf
    for rows in (values, strange):
        sure = supervised.probabilities(learned.arrays, rows, np.full(len(rows), 0.5))
        assert np.isfinite(sure).all() and ((sure >= 0) & (sure <= 1)).all()
        assert np.isfinite(supervised.contributions(learned.arrays, rows, np.full(len(rows), 0.5))).all()


def test_the_same_input_gives_the_same_and_one_row_what_all_rows_give():
    values, bad, alone = world(600, corner=True)
    one, other = (supervised.fit(values, told(bad, 400), alone, Options(), SMALL, clean=~bad) for _ in range(2))
    assert one.facts == other.facts and set(one.arrays) == set(other.arrays)
    assert all((one.arrays[name] == other.arrays[name]).all() for name in one.arrays)
    assert all(array.dtype != object for array in one.arrays.values())
    sure = supervised.probabilities(one.arrays, values, alone)
    each = [supervised.probabilities(one.arrays, values[[row]], alone[[row]])[0] for row in range(20)]
    np.testing.assert_allclose(each, sure[:20], rtol=1e-6)


def test_more_suspicion_of_the_detectors_never_means_less():
    values, bad, alone = world(300)
    learned = supervised.fit(values, bad.astype(int), alone, Options(), replace(SMALL, learners=("logistic",)))
    same = np.repeat(values[:1], 20, axis=0)
    sure = supervised.probabilities(learned.arrays, same, np.linspace(0.01, 0.99, 20))
    assert (np.diff(sure) >= 0).all()


def kinds_world(seed: int = 0) -> tuple[Rows, NDArray[np.bool_], NDArray[np.float64], NDArray[Any]]:
    """Four kinds of anomalies, each far out in a feature of its own, that a detector sees well but not perfectly."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(900, 5)).astype(np.float32)
    kind = np.where(np.arange(900) < 400, np.arange(900) % 4, -1)
    for number in range(4):
        values[kind == number, number] += 5
    alone = 1 / (1 + np.exp(-(np.where(kind >= 0, 1.5, -1.5) + random.normal(size=900))))
    return values, kind >= 0, alone, kind


def test_a_kind_that_nobody_was_told_of_is_still_found_where_kinds_are_known():
    values, bad, alone, kind = kinds_world()
    seen = kind != 3
    names = np.array(["push", "nuke", "scraper", "ring", ""])[kind[seen]].tolist()
    config = replace(SMALL, learners=("forest",))
    blind, aware = (
        supervised.fit(values[seen], bad[seen].astype(int), alone[seen], Options(), config, kinds)
        for kinds in (None, names)
    )
    assert "auroc_new_kinds" not in blind.facts and aware.facts["auroc_new_kinds"] > 0.9
    found = {
        name: (supervised.probabilities(one.arrays, values[kind == 3], alone[kind == 3]) >= 0.5).mean()
        for name, one in (("blind", blind), ("aware", aware))
    }
    assert found["aware"] > 0.75 and found["aware"] > found["blind"] + 0.2
    harmless = supervised.probabilities(aware.arrays, values[~bad], alone[~bad])
    assert (harmless >= 0.5).mean() < 0.1


def test_what_nobody_was_told_of_is_left_to_the_detectors():
    """Staff decide about what was found. What the detectors hold for harmless is judged only where clean rows were."""
    values, bad, alone = world(1200)
    labels = np.where(alone >= 0.5, bad.astype(int), UNKNOWN)
    learned = supervised.fit(values, labels, alone, Options(), SMALL)
    assert learned.acts
    sure = supervised.probabilities(learned.arrays, values, alone)
    low = alone < 0.5
    assert (sure[low] == alone[low]).all() and (sure[~low] != alone[~low]).mean() > 0.9
    with_clean = supervised.fit(values, labels, alone, Options(), SMALL, clean=low & ~bad)
    assert (supervised.probabilities(with_clean.arrays, values, alone)[low] != alone[low]).all()


def test_clean_rows_keep_what_is_like_them_low():
    """Everybody whom staff looked at has the second feature high; rows that do not are not so by that alone."""
    values, bad, alone = world(3000)
    values[:60, 1] = 5
    clean = np.arange(3000) >= 60
    with_them, without = (
        supervised.fit(values, told(bad, 60), alone, Options(), SMALL, clean=given) for given in (clean & ~bad, None)
    )
    assert with_them.facts["clean"] == min(2000, (clean & ~bad).sum()) and without.facts["clean"] == 0
    ordinary = ~bad & clean
    sure = [
        supervised.probabilities(one.arrays, values[ordinary], alone[ordinary]).mean() for one in (with_them, without)
    ]
    assert sure[0] < sure[1]
    assert not supervised.fit(values, told(bad, 30), alone, Options(), clean=clean).acts  # they are no labels


def test_what_does_not_fit_together_is_refused():
    values, bad, alone = world(60)
    labels = bad.astype(int)
    for arguments in ((values[:50], labels, alone), (values, labels[:50], alone), (values[:, 0], labels, alone)):
        with pytest.raises(InvalidConfig, match="same rows"):
            supervised.fit(*arguments, Options())
    with pytest.raises(InvalidConfig, match="same rows"):
        supervised.fit(values, labels, alone, Options(), kinds=["push"])
    with pytest.raises(InvalidConfig, match="same rows"):
        supervised.fit(values, labels, alone, Options(), clean=np.ones(3, dtype=bool))
    with pytest.raises(InvalidConfig, match="1, 0, or -1"):
        supervised.fit(values, labels + 5, alone, Options())
    learned = supervised.fit(values, labels, alone, Options())
    with pytest.raises(Misfit):
        supervised.probabilities(learned.arrays, values[:, :3], alone)
    for wrong in ({"floor": 2}, {"weak": 2}, {"learners": ()}, {"learners": ("magic",)}, {"trees": 0}, {"folds": 1.5}):
        with pytest.raises(InvalidConfig):
            Config(**wrong)
    with pytest.raises(UnknownName):
        learners.fit("magic", values, bad, np.ones(60), Options(), 5, 1)
    assert not supervised.fit(np.zeros((60, 0), np.float32), labels, alone, Options()).acts


def test_it_can_be_stopped():
    def stop(share: float, message: str) -> None:
        raise Cancelled

    values, bad, alone = world(200)
    with pytest.raises(Cancelled):
        supervised.fit(values, bad.astype(int), alone, Options(progress=stop))


def test_the_forest_of_arrays_says_what_the_forest_said():
    from sklearn.ensemble import RandomForestClassifier

    values, bad, _ = world(300, corner=True)
    weights = np.where(bad, 2.0, 1.0)
    arrays = forest.fit(values, bad, weights, Options(seed=3), trees=20, leaf=2)
    theirs = RandomForestClassifier(n_estimators=20, min_samples_leaf=2, random_state=3).fit(values, bad, weights)
    asked = np.random.default_rng(1).normal(size=(500, 5)).astype(np.float32)
    np.testing.assert_allclose(forest.shares(arrays, asked), theirs.predict_proba(asked)[:, 1], atol=1e-6)
    moved = forest.contributions(arrays, asked)
    start = arrays["value"][arrays["roots"]].mean()
    np.testing.assert_allclose(start + moved.sum(axis=1), forest.shares(arrays, asked), atol=1e-5)


def test_auroc_counts_pairs():
    scores, positive = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, True, False, True])
    assert supervised.auroc(scores, positive) == (1 + 0.5 + 1 + 1) / 4
