"""What a verdict keeps of what was found: built once, read by every page, whatever shape it has."""

from datetime import UTC, datetime

import numpy as np
import pytest

from recommender.engine.anomaly.found import NO_GROUP, Features, Found
from recommender.services.screening import evidence

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


def found() -> Found:
    names = ("burst", "never_known", "median_gap_s")
    values = np.array([[9, np.nan, 4], [1, np.nan, 20], [2, np.nan, np.inf], [1, np.nan, 24]], dtype=np.float32)
    return Found(
        Features(["ann", "ben", "cid", "dot"], names, values),
        np.array([0.9, 0.1, 0.6, 0.1]),
        np.array([[1, 5, 2], [0, 0, 0], [3, 1, 2], [0, 0, 0]], dtype=np.float32),
        ["push", "", "push", ""],
        targets={0: ["item-1", "item-2"]},
        groups=np.array([3, NO_GROUP, 3, 7]),
    )


def test_evidence_is_built_with_the_usual_beside_the_own_and_read_back() -> None:
    base = int(DAY.timestamp())
    times = np.array([base + 86_400, base, base + 5], dtype=np.int64)
    raw = evidence.build(found(), 0, times=times, kinds=["view", "rating", "view"])
    seen = evidence.read(raw)
    assert [(one.name, one.label, one.value) for one in seen.figures] == [
        ("median_gap_s", "Median gap", 4.0),
        ("burst", "Burst", 9.0),
    ]
    assert (seen.figures[1].low, seen.figures[1].usual, seen.figures[1].high) == (1.0, 1.5, 3.75)
    assert seen.targets == ["item-1", "item-2"] and seen.members == ["cid"]
    assert [(day.day, day.kinds) for day in seen.timeline] == [
        ("2026-03-01", {"rating": 1, "view": 1}),
        ("2026-03-02", {"view": 1}),
    ]
    assert seen.features == {"burst": 9.0, "median_gap_s": 4.0}
    other = evidence.read(evidence.build(found(), 2))
    assert "median_gap_s" not in other.features and other.timeline == []  # infinity is nothing to show


@pytest.mark.parametrize(
    "raw",
    [
        None, [], "text", 7, {}, {"figures": 3, "targets": {"a": 1}, "timeline": "x", "members": None, "features": []},
        {"figures": [None, {}, {"name": "a"}, {"name": "a", "value": "9"}, {"name": "a", "value": float("nan")}]},
        {"timeline": [{"day": "yesterday", "kinds": {"view": 1}}, {"day": "2026-03-01"}, 4, {"day": None}]},
        {"features": {"a": float("inf"), "b": None, "c": True, "d": 10**400}},
    ],
)  # fmt: skip
def test_evidence_of_another_shape_is_read_as_none(raw: object) -> None:
    assert evidence.read(raw) == evidence.Evidence()


def test_an_older_timeline_without_kinds_is_read() -> None:
    assert evidence.read({"timeline": [{"day": "2026-03-01", "count": 3}]}).timeline[0].count == 3
