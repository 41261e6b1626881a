"""From features to probabilities, kinds and sentences."""

import numpy as np
import pytest

from recommender.engine.anomaly.subjects.judging import PRIOR, SUSPICIOUS, Trait, judge
from recommender.engine.errors import Cancelled, ModelMissing, NoData
from recommender.engine.options import Options


def traits(height: np.ndarray, weight: np.ndarray | None = None) -> list[Trait]:
    other = np.zeros(len(height)) if weight is None else weight
    return [
        Trait(
            "height_m",
            height,
            lambda row, value, usual: f"{value:.1f} m; {usual:.1f} m are usual.",
            {"giant": 7.0},
            2,
            3,
        ),
        Trait(
            "weight_kg", other, lambda row, value, usual: f"{value:.0f} kg.", {"heavy": 7.0, "giant": -7.0}, 100, 200
        ),
    ]


def ids(count: int) -> list[str]:
    return [f"row {number}" for number in range(count)]


def test_evidence_is_added_in_log_odds_to_what_is_known_before():
    judged = judge(ids(4), traits(np.array([1.8, 2.5, 3.0, 9.0])), Options())
    odds = judged.probabilities / (1 - judged.probabilities)
    assert np.log(odds / (PRIOR / (1 - PRIOR))) == pytest.approx([0, 3.5, 7, 7])
    assert judged.kinds == ["", "", "giant", "giant"]
    assert judged.found(traits(np.ones(4))).reasons == {2: ["3.0 m; 2.8 m are usual."], 3: ["9.0 m; 2.8 m are usual."]}


def test_the_likeliest_kind_wins_and_others_do_not_add_to_it():
    judged = judge(ids(2), traits(np.array([3.0, 3.0]), np.array([0.0, 200.0])), Options())
    assert judged.kinds == ["giant", "heavy"]
    assert judged.probabilities[0] == pytest.approx(judged.probabilities[1])


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_what_is_missing_says_nothing(missing):
    judged = judge(ids(2), traits(np.array([missing, 3.0])), Options())
    assert judged.probabilities[0] == pytest.approx(PRIOR)


def test_the_detector_alone_condemns_nobody():
    rng = np.random.default_rng(0)
    values = rng.normal(1.7, 0.1, 500)
    values[7] = -40.0  # strange, but nothing that a trait minds
    plain = judge(ids(500), traits(values)[:1], Options())
    assert plain.probabilities[7] > 2 * PRIOR
    assert plain.probabilities.max() < SUSPICIOUS


def test_what_the_detector_minds_is_told_plainly():
    rng = np.random.default_rng(0)
    odd, height = rng.normal(0, 1, 500), np.full(500, 1.8)
    odd[7], height[7] = 900.0, 2.4
    both = [traits(height)[0], Trait("oddity", odd, lambda row, value, usual: "Never said.")]
    reasons = judge(ids(500), both, Options()).found(both).reasons
    assert list(reasons) == [7] and any("Oddity: 900, uncommon beside the rest" in reason for reason in reasons[7])


def test_rows_are_judged_by_what_was_learned_before():
    rng = np.random.default_rng(1)
    before = judge(ids(300), traits(rng.normal(1.7, 0.1, 300)), Options())
    once = judge(ids(300), traits(before.features.values[:, 0]), Options(), before.arrays)
    alone = judge(["row 5"], traits(before.features.values[5:6, 0]), Options(), before.arrays)
    assert np.array_equal(once.probabilities, before.probabilities)
    assert alone.probabilities[0] == pytest.approx(before.probabilities[5])
    assert alone.usual[0] == before.usual[0]
    with pytest.raises(ModelMissing):
        judge(ids(300), traits(before.features.values[:, 0])[:1], Options(), before.arrays)


def test_same_seed_same_result():
    values = np.random.default_rng(2).normal(1.7, 0.3, 200)
    one, two = (judge(ids(200), traits(values), Options(seed=3)) for _ in range(2))
    assert np.array_equal(one.probabilities, two.probabilities)


def test_limits_follow_a_shop_where_much_is_usual():
    values = np.full(100, 5.0)
    trait = Trait("pieces", values, lambda *_: "", {"bulk": 7.0}, 2, 3, tail=0.9)
    assert judge(ids(100), [trait], Options()).probabilities.max() < SUSPICIOUS
    few = Trait("pieces", values[:5], lambda *_: "", {"bulk": 7.0}, 2, 3, tail=0.9)
    assert judge(ids(5), [few], Options()).probabilities.min() > SUSPICIOUS  # too few to say what is usual here


def test_nothing_to_judge_is_said():
    with pytest.raises(NoData):
        judge([], traits(np.zeros(0)), Options())


def test_it_can_be_cancelled():
    def stop(share: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        judge(ids(3), traits(np.ones(3)), Options(progress=stop))
