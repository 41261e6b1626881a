"""Estimates from choices by chance, against a world whose truth is known."""

import numpy as np
import pytest

from recommender.engine.evaluation.off_policy import ips, mean, snips

ACTIONS, CONTEXTS, ROUNDS = 6, 8, 1500


def world(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How likely each action is clicked in each context, and how likely it was drawn: (CONTEXTS, ACTIONS) both."""
    rng = np.random.default_rng(seed)
    drawn = rng.dirichlet(np.full(ACTIONS, 2.0), CONTEXTS) * 0.8 + 0.2 / ACTIONS
    return rng.uniform(0.02, 0.5, (CONTEXTS, ACTIONS)), drawn


def logged(seed: int, clicks: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, ...]:
    """Contexts, actions, rewards and chances of ROUNDS draws."""
    rng = np.random.default_rng(seed)
    contexts = rng.integers(0, CONTEXTS, ROUNDS)
    actions = (rng.random(ROUNDS)[:, None] > np.cumsum(drawn[contexts], axis=1)).sum(axis=1).clip(max=ACTIONS - 1)
    rewards = (rng.random(ROUNDS) < clicks[contexts, actions]).astype(float)
    return contexts, actions, rewards, drawn[contexts, actions]


@pytest.mark.parametrize("estimate", [ips, snips])
def test_the_interval_covers_the_truth_in_about_95_of_100_runs(estimate) -> None:
    clicks, drawn = world(1)
    best = clicks.argmax(axis=1)
    truth = clicks.max(axis=1).mean()
    covered = 0
    for seed in range(200):
        contexts, actions, rewards, chances = logged(seed, clicks, drawn)
        found = estimate(rewards, chances, (actions == best[contexts]).astype(float))
        covered += found.low <= truth <= found.high
    assert 184 <= covered <= 199  # 190 expected, within three standard errors


def test_what_was_shown_says_less_than_what_would_have_been() -> None:
    clicks, drawn = world(1)
    contexts, actions, rewards, chances = logged(7, clicks, drawn)
    found = snips(rewards, chances, (actions == clicks.argmax(axis=1)[contexts]).astype(float))
    assert mean(rewards).high < found.low


def test_the_same_way_of_choosing_is_worth_what_it_brought() -> None:
    clicks, drawn = world(2)
    _, _, rewards, chances = logged(3, clicks, drawn)
    for estimate in (ips, snips):
        found = estimate(rewards, chances, chances)
        assert found.value == pytest.approx(rewards.mean())
        assert found.effective == pytest.approx(ROUNDS)


def test_what_belongs_together_varies_together() -> None:
    rng = np.random.default_rng(0)
    once = (rng.random(300) < 0.2).astype(float)
    rewards, chances = np.repeat(once, 10), np.full(3000, 0.5)
    wanted = np.ones(3000)
    alone, grouped = snips(rewards, chances, wanted), snips(rewards, chances, wanted, np.repeat(np.arange(300), 10))
    single = snips(once, np.full(300, 0.5), np.ones(300))
    assert grouped.high - grouped.low == pytest.approx(single.high - single.low, rel=1e-6)
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)


def test_a_clip_is_told_and_pulls_towards_nothing() -> None:
    rewards, chances, wanted = np.ones(1000), np.full(1000, 0.01), np.zeros(1000)
    wanted[:10] = 1.0
    assert ips(rewards, chances, wanted).value == pytest.approx(1.0)
    cut = ips(rewards, chances, wanted, clip=50)
    assert (cut.value, cut.clipped) == (pytest.approx(0.5), 1.0)
    assert snips(rewards, chances, wanted, clip=50).value == pytest.approx(1.0)


def test_a_click_that_never_came_may_still_come() -> None:
    found = snips(np.zeros(400), np.full(400, 0.5), np.repeat([0.0, 1.0], 200))
    assert found.value == 0
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 200), rel=0.02)  # Clopper and Pearson


def test_nothing_to_learn_from_is_said() -> None:
    none = np.zeros(0)
    assert np.isnan(ips(none, none, none).value)
    assert np.isnan(snips(np.ones(3), np.full(3, 0.5), np.zeros(3)).value)
    with pytest.raises(ValueError, match="above 0"):
        ips(np.ones(1), np.zeros(1), np.ones(1))
