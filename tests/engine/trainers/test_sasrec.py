from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import Cancelled, InvalidConfig, NotFinite
from recommender.engine.learning import loop
from recommender.engine.learning.workplace import workplace
from recommender.engine.trainers import Arrays, Options, make_config
from recommender.engine.trainers.sasrec import GAPS, SasrecConfig, SasrecQuery, SasrecTrainer, gaps
from recommender.engine.trainers.sasrec_learning import Part, Sasrec, Windows, arrays, losses
from tests import worlds
from tests.contracts.trainer import TrainerContract, fit

SMALL: dict[str, Any] = {
    "factors": 8, "blocks": 1, "heads": 2, "max_length": 8, "epochs": 15, "learning_rate": 0.02, "dropout": 0.0,
    "batch_tokens": 128, "precision": "float32",
}  # fmt: skip


class TestSasrec(TrainerContract):
    name = "sasrec"
    config: ClassVar = SMALL


def circle(users: int = 48, items: int = 12, length: int = 7, apart_s: int = 60) -> Interactions:
    """After item i always comes i + 1, and after the last the first; every item is as popular as any other."""
    first = np.arange(users) % items
    rows = (first[:, None] + np.arange(length)) % items
    times = 1_000_000 + np.tile(np.arange(length), users) * apart_s
    user_rows = np.repeat(np.arange(users), length)
    ids = worlds.numbered(users, "u"), worlds.numbered(items, "i")
    return Interactions.build(*ids, user_rows, rows.ravel(), times=times)


def what_comes_next(data: Interactions) -> Interactions:
    """One event of each user of a circle."""
    users = np.arange(len(data.users))
    return Interactions.build(
        data.users, data.items, users, (data.item_rows[data.indptr[1:] - 1] + 1) % len(data.items)
    )


def unfitted(items: int = 12, time_aware: bool = False, **values: Any) -> tuple[Sasrec, SasrecQuery]:
    """A module with random weights that matter, and the query that it makes."""
    config = SasrecConfig(**{**SMALL, "blocks": 2, **values})
    data = circle(items=items)
    torch.manual_seed(3)
    module = Sasrec(items, config, time_aware)
    for weight in module.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return module.eval(), SasrecTrainer.query(arrays(module, data, items), config)


def test_it_learns_what_comes_next_which_takes_order() -> None:
    data = circle()
    found = {}
    for name, config in {"sasrec": {**SMALL, "epochs": 25}, "popularity": {}, "als": {"factors": 8}}.items():
        query = fit(name, data, config)
        first = []
        for item in range(12):
            scores = query.scores(Histories.single([(item - 1) % 12, item]))[0].copy()
            scores[[(item - 1) % 12, item]] = -np.inf
            first.append(scores.argmax() == (item + 1) % 12)
        found[name] = np.mean(first)
        if name == "sasrec":
            assert query.scores(Histories.single([5, 4, 3]))[0].argmax() == 4
    assert found["sasrec"] == 1
    assert found["popularity"] < 0.5
    assert found["als"] < 0.8


@pytest.mark.parametrize("time_aware", [False, True])
def test_what_is_served_is_what_was_trained(time_aware: bool) -> None:
    module, query = unfitted(time_aware=time_aware)
    rows, times = np.array([3, 1, 11, 1, 0]), np.array([0, 1, 60, 3600, 10**8])
    seconds_between = torch.tensor([[0, 0, 1, 5, 11, 26]])
    with torch.no_grad():
        encoded = module(torch.tensor([[12, *rows]]), seconds_between)[0, -1]
        expected = (encoded @ module.items.weight[:12].T).numpy()
    found = query.scores(Histories.single(rows, times=times))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_history_among_longer_ones_is_answered_as_alone() -> None:
    _, query = unfitted()
    histories = [[4], [], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [2, 2, 7], [0] * 30]
    counts = np.array([len(one) for one in histories])
    together = Histories(
        np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        np.concatenate(histories).astype(np.int32),
        np.ones(counts.sum(), np.float32),
        np.zeros(counts.sum(), np.int64),
    )
    alone = np.concatenate([query.scores(Histories.single(one)) for one in histories])
    np.testing.assert_allclose(query.scores(together), alone, rtol=1e-4, atol=1e-5)


def test_only_the_last_events_are_read_and_their_order_counts() -> None:
    _, query = unfitted(max_length=4)
    last = query.scores(Histories.single([3, 1, 4, 6]))
    np.testing.assert_allclose(query.scores(Histories.single([9, 8, 7, 3, 1, 4, 6])), last, atol=1e-5)
    assert np.abs(query.scores(Histories.single([1, 3, 4, 6])) - last).max() > 0.01
    assert np.abs(query.scores(Histories.single([1, 4, 6])) - last).max() > 0.01


def test_dislikes_are_not_read() -> None:
    _, query = unfitted()
    without = query.scores(Histories.single([3, 4]))
    np.testing.assert_array_equal(query.scores(Histories.single([3, 7, 8, 4, 9], [1, -1, 0, 2, -3])), without)


def test_items_that_nobody_liked_are_never_on_top() -> None:
    data = circle(items=12)
    wide = Interactions.build(
        data.users, worlds.numbered(20, "i"), data.user_rows, data.item_rows, data.weights, data.times
    )
    scores = fit("sasrec", wide, SMALL).scores(wide.histories())
    assert np.isfinite(scores).all()
    assert (scores[:, 12:].max(axis=1) < scores[:, :12].max(axis=1)).all()
    np.testing.assert_allclose(scores[:, 12], scores[:, :12].mean(axis=1), rtol=1e-4, atol=1e-5)
    assert np.isfinite(fit("sasrec", wide, SMALL).scores(Histories.single([15, 16]))).all()


def test_an_event_s_contribution_is_what_goes_without_it() -> None:
    _, query = unfitted()
    history, items = Histories.single([3, 5, 1, 6], [1, 2, -1, 1], [0, 5, 9, 70]), np.array([0, 7], np.int32)
    found = query.contributions(history, items)
    scores = query.scores(history)[0][items]
    without = query.scores(Histories.single([3, 5, 1], [1, 2, -1], [0, 5, 9]))[0][items]
    shared = found[2]  # what the dislike, which says nothing here, was given
    np.testing.assert_allclose(found[3] - shared, scores - without, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=0), scores, rtol=1e-4, atol=1e-4)


def test_a_long_history_is_explained_by_its_last_events() -> None:
    _, query = unfitted(max_length=40)
    history, items = Histories.single(np.arange(50) % 12), np.array([1, 2, 3], np.int32)
    found = query.contributions(history, items)
    np.testing.assert_allclose(found.sum(axis=0), query.scores(history)[0][items], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[:20], np.repeat(found[:1], 20, axis=0))
    assert (np.abs(found[20:] - found[0]).max(axis=1) > 0).all()


def test_gaps_are_powers_of_two_of_a_user_s_own_seconds() -> None:
    histories = Histories(
        np.array([0, 3, 3, 7]),
        np.zeros(7, np.int32),
        np.ones(7, np.float32),
        np.array([50, 51, 51, 10, 13, 3613, 2**60]),
    )
    assert gaps(histories).tolist() == [0, 1, 0, 0, 2, 11, GAPS - 1]


def test_time_counts_only_where_it_is_asked_for_and_known() -> None:
    def learned(data: Interactions, **values: Any) -> Arrays:
        return SasrecTrainer.fit(data, SasrecConfig(**{**SMALL, "epochs": 2, **values}), Options())

    data = circle()
    untimed = Interactions.build(data.users, data.items, data.user_rows, data.item_rows, times=np.zeros(len(data)))
    assert "gap_vectors" not in learned(data)
    assert "gap_vectors" not in learned(untimed, time_aware=True)
    found = learned(data, time_aware=True)
    assert found["gap_vectors"].shape == (GAPS, 8)
    query = SasrecTrainer.query(found, SasrecConfig(**SMALL, time_aware=True))
    soon, late = (query.scores(Histories.single([1, 2], times=[0, seconds])) for seconds in (60, 10**7))
    assert np.abs(soon - late).max() > 1e-4


@pytest.mark.parametrize("length", [1, 3, 8])
def test_each_event_is_learned_once_an_epoch_but_for_what_is_cut_off(length: int) -> None:
    """In the right order, after the right items, and windows begin where the one before ended."""
    data = worlds.two_groups(users=9)
    config = SasrecConfig(**{**SMALL, "max_length": length, "batch_tokens": 20})
    windows = Windows(data, config, 2, np.random.default_rng(0))
    for epoch in range(4):
        learned = []
        for batch in windows.batches(epoch):
            assert sum(part.share for part in batch) == pytest.approx(1)
            for part in batch:
                read = part.padded.rows[:, :-1]
                assert read.size <= 20 or len(read) == 1
                for rows, count in zip(part.padded.rows, part.padded.lengths, strict=True):
                    assert 2 <= count <= length + 1
                    assert (rows[count:] == 40).all()
                    learned += list(pairwise(rows[:count]))
        whole = [pair for rows, _, _ in data.histories() for pair in pairwise([40, *rows])]
        missing = len(whole) - len(learned)
        assert 0 <= missing <= 9 * (length // 2)
        for pair in set(learned):
            assert learned.count(pair) <= whole.count(pair)


@pytest.mark.parametrize(("users", "size"), [(10, 512), (2000, 800), (40_000, 8192)])
def test_few_events_make_smaller_batches(users: int, size: int) -> None:
    windows = Windows(worlds.two_groups(users=users), SasrecConfig(), 2, np.random.default_rng(0))
    assert windows.size == size
    assert abs(len(list(windows.batches(0))) - windows.steps) <= 1


def test_the_loss_is_the_cross_entropy_of_the_next_items() -> None:
    data = circle(users=5)
    config = SasrecConfig(**{**SMALL, "batch_tokens": 48})
    module, _ = unfitted(**SMALL)
    windows = Windows(data, config, 2, np.random.default_rng(0))
    [batch] = windows.batches(0)
    with workplace(Options(), "float32") as place:
        loss = losses(module, data, config, place)
        found = sum(float(loss(part).detach()) for part in batch)
    chances = []
    for rows, _, _ in data.histories():
        x = torch.tensor([[12, *rows[:-1]]])
        with torch.no_grad():
            scores = module(x, torch.zeros_like(x))[0] @ module.items.weight[:12].T
        chances += torch.log_softmax(scores, dim=1)[torch.arange(len(rows)), torch.tensor(rows).long()].tolist()
    assert len(batch) == 2
    assert found == pytest.approx(-np.mean(chances), rel=1e-4)


def test_sampled_negatives_estimate_the_full_softmax() -> None:
    data = worlds.long_tail(users=60, items=200)
    sampled, full = (SasrecConfig(**{**SMALL, "negatives": count}) for count in (50, 0))
    torch.manual_seed(0)
    module = Sasrec(200, full, False)
    [[part], *_] = Windows(data, full, 1, np.random.default_rng(0)).batches(0)
    with workplace(Options(), "float32") as place, torch.no_grad():
        whole = float(losses(module, data, full, place)(part))
        loss = losses(module, data, sampled, place)
        found = [float(loss(Part(part.padded, part.share, seed))) for seed in range(30)]
    assert np.std(found) > 0
    # Corrected chances make a target likelier than it is by its own chance to be drawn, as in Yi et al. 2019.
    assert np.mean(found) == pytest.approx(whole, abs=0.7)
    assert fit("sasrec", data, {**SMALL, "epochs": 1, "negatives": 20}).scores(data.histories([0])).shape == (1, 200)


class Interrupted:
    """Raises after some epochs."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def __call__(self, epoch: int, value: float) -> None:
        if epoch == self.epochs:
            raise Cancelled()


def test_resumed_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY_S", 0.0)
    data, config = circle(), SasrecConfig(**{**SMALL, "epochs": 5, "dropout": 0.3})
    options = Options(threads=2, held=what_comes_next(data))
    whole = SasrecTrainer.fit(data, config, options)
    said: list[str] = []
    options = replace(options, checkpoints=tmp_path, progress=lambda share, message: said.append(message))
    with pytest.raises(Cancelled):
        SasrecTrainer.fit(data, config, replace(options, report=Interrupted(4)))
    resumed = SasrecTrainer.fit(data, config, options)
    assert any("going on after" in message for message in said)
    for name, array in whole.items():
        np.testing.assert_array_equal(array, resumed[name])


def test_the_number_of_threads_changes_no_result() -> None:
    data, config = worlds.two_groups(), SasrecConfig(**{**SMALL, "epochs": 2, "dropout": 0.3})
    one, two = (SasrecTrainer.fit(data, config, Options(threads=threads)) for threads in (1, 2))
    np.testing.assert_array_equal(one["item_vectors"], two["item_vectors"])


def test_bfloat16_learns_as_well() -> None:
    query = fit("sasrec", circle(), {**SMALL, "epochs": 25, "precision": "bfloat16"})
    assert query.scores(Histories.single([2, 3]))[0].argmax() == 4


def test_numbers_that_run_away_are_an_error_of_ours() -> None:
    with pytest.raises(NotFinite):
        fit("sasrec", circle(), {**SMALL, "learning_rate": 1e30, "clip": 0.0})


def test_what_is_held_out_decides_which_epoch_is_kept() -> None:
    values: list[float] = []
    data = circle()
    options = Options(held=what_comes_next(data), report=lambda epoch, value: values.append(value))
    SasrecTrainer.fit(data, SasrecConfig(**{**SMALL, "epochs": 30, "patience": 3}), options)
    assert values.index(max(values)) == len(values) - 4 or len(values) == 30
    assert max(values) > 0.9


@pytest.mark.parametrize(
    "wrong",
    [{"factors": 0}, {"factors": 9}, {"heads": 0}, {"blocks": 0}, {"max_length": 0}, {"dropout": 1.0},
     {"negatives": -1}, {"batch_tokens": 0}, {"epochs": 0}, {"precision": "int4"}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        make_config("sasrec", wrong)


def test_a_config_survives_json() -> None:
    config = SasrecConfig(factors=16, time_aware=True)
    assert make_config("sasrec", asdict(config)) == config
