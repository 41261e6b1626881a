"""From what was found to the weight of each event."""

import numpy as np
import pytest

from recommender.engine.anomaly.found import Features, Found
from recommender.engine.anomaly.trust import shares, trust
from recommender.engine.data.activity import Activity
from recommender.engine.data.ids import Ids


@pytest.fixture
def activity() -> Activity:
    """ada, bob and eve in turn, twice each."""
    rows = np.array([0, 1, 2, 0, 1, 2], dtype=np.int32)
    return Activity(
        Ids.of(["ada", "bob", "eve"]),
        Ids.of(["i"]),
        rows,
        np.zeros(6, np.int32),
        np.ones(6, np.int8),
        np.full(6, np.nan, np.float32),
        np.arange(6),
        np.full(6, -1),
    )


def found(ids: list[str], probabilities: list[float], **more) -> Found:
    features = Features(ids, ("f",), np.zeros((len(ids), 1), np.float32))
    return Found(features, np.array(probabilities), np.zeros((len(ids), 1), np.float32), [""] * len(ids), **more)


def test_shares_fall_from_all_to_none() -> None:
    assert shares([0, 0.49, 0.5, 0.8, 0.9, 1, np.nan]) == pytest.approx([1, 1, 0.5, 0.2, 0, 0, 1])
    assert shares([0.8], quarantine_at=0.8).tolist() == [0]


def test_a_profile_taints_all_of_its_visitor(activity: Activity) -> None:
    left = trust(activity, {"profile": found(["eve", "ada", "nobody"], [0.95, 0.6, 1.0])})
    assert left == pytest.approx([0.4, 1, 0, 0.4, 1, 0]) and left.dtype == np.float32


def test_a_session_taints_its_events_and_the_worst_counts(activity: Activity) -> None:
    session = found(["ada@0", "eve@5"], [0.95, 0.7], events={0: np.array([0]), 1: np.array([5])})
    left = trust(activity, {"session": session, "profile": found(["eve"], [0.8])})
    assert left == pytest.approx([0, 1, 0.2, 1, 1, 0.2])


def test_access_and_nothing_taint_nothing(activity: Activity) -> None:
    assert trust(activity, {"access": found(["ada"], [1.0])}).tolist() == [1] * 6
    assert trust(activity, {}).tolist() == [1] * 6


def test_what_a_suspect_aims_at_is_not_learned_from_them(activity: Activity) -> None:
    two = Activity(
        activity.visitors, Ids.of(["i", "j"]), activity.visitor_rows, np.array([0, 0, 0, 1, 1, 1], np.int32),
        activity.kinds, activity.values, activity.times, activity.sessions,
    )  # fmt: skip
    suspects = found(["ada", "bob"], [0.6, 0.2], targets={0: ["j", "gone"], 1: ["i"]})
    assert trust(two, {"profile": suspects}) == pytest.approx([0.4, 1, 1, 0, 1, 1])
