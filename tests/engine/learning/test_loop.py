"""The loop on regressions small enough to know the answer of."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recommender.engine.errors import Cancelled, InvalidConfig, NotFinite
from recommender.engine.learning import loop
from recommender.engine.learning.descent import Descent
from recommender.engine.learning.loop import Course, descend
from recommender.engine.learning.workplace import workplace
from recommender.engine.options import Options

CONFIG = Descent(epochs=8, patience=8, learning_rate=0.05, weight_decay=0.01, precision="float32")
STEPS = 4


class Fit:
    """y = x w with dropout, batches drawn at random; `values`, where given, is what the judge says."""

    def __init__(self, values: list[float] | None = None, dropout: float = 0.3) -> None:
        self.values, self.dropout = values, dropout
        self.epochs: list[int] = []
        self.module: nn.Module = nn.Identity()

    def __call__(self, config: Descent = CONFIG, options: Options | None = None, **more: Any) -> dict[str, Any]:
        options = options or Options()
        random = np.random.default_rng(options.seed)
        x = torch.linspace(-1, 1, 60).reshape(20, 3) ** 3
        y = x @ torch.tensor([1.0, -2.0, 0.5])

        def batches(epoch: int) -> Iterator[Tensor]:
            self.epochs.append(epoch)
            for _ in range(STEPS):
                yield torch.as_tensor(random.integers(0, 20, 8))

        with workplace(options, config.precision) as place:
            self.module = module = nn.Sequential(nn.Linear(3, 8), nn.Dropout(self.dropout), nn.Linear(8, 1))

            def loss(rows: Tensor) -> Tensor:
                mean: Tensor = ((module(x[rows])[:, 0] - y[rows]) ** 2).mean()
                return mean

            def judge(beat: Callable[[], None]) -> float:
                beat()
                assert not module.training
                assert not torch.is_grad_enabled()
                return -float(loss(torch.arange(20))) if self.values is None else self.values[len(self.epochs) - 1]

            made = {"judge": judge, "generators": [random], "fingerprint": {"seed": options.seed}, **more}
            course = descend(module, batches, loss, config, options, place, steps=STEPS, **made)
            drawn = (torch.rand(3).numpy(), random.random(3))
        arrays = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
        return {"course": course, "drawn": drawn, **arrays}


def assert_same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert replace(a["course"], work_s=0) == replace(b["course"], work_s=0)
    for name in set(a) - {"course"}:
        np.testing.assert_array_equal(a[name], b[name])


@pytest.fixture
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY_S", -1)
    monkeypatch.setattr(loop, "TELL_EVERY_S", -1)


def cancel_when(word: str, times: int = 1) -> Callable[[float, str], None]:
    """Progress that raises when it hears `word` for the `times`-th time."""
    heard = [0]

    def progress(share: float, message: str) -> None:
        heard[0] += word in message
        if heard[0] == times:
            raise Cancelled()

    return progress


def test_it_finds_what_was_planted() -> None:
    fit = Fit(dropout=0)
    course: Course = fit(replace(CONFIG, epochs=100, patience=100, weight_decay=0))["course"]
    assert course.losses[-1] < 1e-4 < course.losses[0]
    assert course.best == max(course.values) > -1e-4


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    first, second, third = (Fit()(options=Options(seed=seed)) for seed in (3, 3, 4))
    assert_same(first, second)
    assert not np.array_equal(first["0.weight"], third["0.weight"])


def test_nothing_global_is_changed() -> None:
    before = torch.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    Fit()(options=Options(threads=1 + torch.get_num_threads() % 2))
    torch.testing.assert_close(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before[1:]


def test_it_stops_when_patience_ends_and_keeps_the_best() -> None:
    told = []
    fit = Fit([0.1, 0.3, 0.2, 0.3, 0.25, 0.9, 0.9, 0.9])
    options = Options(report=lambda step, value: told.append((step, value)))
    stopped = fit(replace(CONFIG, patience=3), options)
    assert fit.epochs == [0, 1, 2, 3, 4]
    assert (stopped["course"].best, stopped["course"].best_epoch) == (0.3, 2)
    assert told == [(1, 0.1), (2, 0.3), (3, 0.2), (4, 0.3), (5, 0.25)]
    # The weights are those after two epochs, which a judge that loves the second epoch only also leaves behind.
    other = Fit([0, 1, 0, 0, 0, 0, 0, 0])(CONFIG)
    np.testing.assert_array_equal(stopped["0.weight"], other["0.weight"])
    assert not np.array_equal(stopped["0.weight"], Fit([0, 0, 1, 0, 0, 0, 0, 0])(CONFIG)["0.weight"])


def test_report_may_end_it() -> None:
    def prune(step: int, value: float) -> None:
        raise Cancelled()

    fit = Fit()
    with pytest.raises(Cancelled):
        fit(options=Options(report=prune))
    assert fit.epochs == [0]


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("values", [None, [0.1, 0.3, 0.2, 0.25, 0.2, 0.2, 0.9, 0.9]], ids=["judged", "stopping early"])
@pytest.mark.parametrize("epoch", [1, 2, 3, 5])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, epoch: int, values: list[float] | None) -> None:
    config = replace(CONFIG, patience=4)
    whole = Fit(values)(config)
    first, second = Fit(values), Fit(values)
    with pytest.raises(Cancelled):
        first(config, Options(checkpoints=tmp_path, progress=cancel_when(f"epoch {epoch} of", times=2)))
    assert first.epochs[-1] == epoch - 1
    second.epochs = first.epochs[:-1]  # so that the judge goes on where it was
    again = second(config, Options(checkpoints=tmp_path))
    assert second.epochs[epoch - 1 :] == list(range(epoch - 1, len(whole["course"].losses)))
    assert_same(whole, again)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("judge", [True, False])
def test_interrupted_twice(tmp_path: Path, judge: bool) -> None:
    more: dict[str, Any] = {} if judge else {"judge": None}
    whole = Fit()(**more)
    for epoch in (2, 5):
        with pytest.raises(Cancelled):
            Fit()(options=Options(checkpoints=tmp_path, progress=cancel_when(f"epoch {epoch} of", 3)), **more)
    messages: list[str] = []
    again = Fit()(options=Options(checkpoints=tmp_path, progress=lambda _, message: messages.append(message)), **more)
    assert_same(whole, again)
    assert messages[1].startswith("going on after epoch 4 of 8, loss ")


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("damage", ["another fit", "a bit", "half a file", "no state", "not JSON"])
def test_a_checkpoint_of_no_use_is_said_and_not_used(tmp_path: Path, damage: str) -> None:
    with pytest.raises(Cancelled):
        Fit()(options=Options(checkpoints=tmp_path, progress=cancel_when("epoch 3 of")))
    [kept] = tmp_path.iterdir()
    tensors, state = kept / "tensors.safetensors", kept / "state.json"
    content = bytearray(tensors.read_bytes())
    if damage == "a bit":
        content[-1] ^= 1
        tensors.write_bytes(content)
    elif damage == "half a file":
        tensors.write_bytes(content[: len(content) // 2])
    elif damage == "no state":
        state.unlink()
    elif damage == "not JSON":
        state.write_text("{")
    messages: list[str] = []
    options = Options(
        seed=43 if damage == "another fit" else 42,
        checkpoints=tmp_path,
        progress=lambda share, message: messages.append(message),
    )
    fit = Fit()
    assert_same(fit(options=options), Fit()(options=replace(options, checkpoints=None)))
    assert fit.epochs[0] == 0
    assert f"starting anew: the checkpoint is {'of another fit' if damage == 'another fit' else 'damaged'}" in messages
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("every_epoch")
def test_progress_rises_to_its_end_and_says_what_happens() -> None:
    told: list[tuple[float, str]] = []
    Fit()(options=Options(progress=lambda *what: told.append(what)), shares=(0.1, 0.8))
    shares, messages = zip(*told, strict=True)
    assert list(shares) == sorted(shares)
    assert (shares[0], shares[-1]) == pytest.approx((0.1, 0.8))
    assert len(messages) > 8 * STEPS
    assert messages[0] == "learning on 1 CPU thread"
    assert any(message.startswith("epoch 3 of 8, loss ") for message in messages)
    assert any("NDCG@10 -" in message and message.endswith(" s left") for message in messages)


def test_cancelling_within_an_epoch_takes_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "TELL_EVERY_S", -1)
    fit = Fit()
    with pytest.raises(Cancelled):
        fit(options=Options(progress=cancel_when("epoch 2 of", times=2)))
    assert fit.epochs == [0, 1]


@pytest.mark.parametrize("learning_rate", [1e30, 1e38])
def test_numbers_that_run_away_are_an_error_of_ours(learning_rate: float) -> None:
    with pytest.raises(NotFinite, match="Lower learning_rate"):
        Fit()(replace(CONFIG, learning_rate=learning_rate, weight_decay=0.1))


def test_a_last_step_into_the_void_is_an_error_too() -> None:
    with pytest.raises(NotFinite):
        Fit([0.0])(replace(CONFIG, epochs=1, schedule="constant", learning_rate=3e38, warmup=0, weight_decay=1))


def test_gradients_are_clipped_over_all_weights_together() -> None:
    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2, 2))

    options, lengths = Options(), []
    with workplace(options) as place:
        module = Watched()
        slopes = torch.tensor([30.0, 0, 0]), torch.full((2, 2), 20.0)  # together 50 long

        def loss(batch: int) -> Tensor:
            if batch and module.a.grad is not None and module.b.grad is not None:
                lengths.append(float(module.a.grad.norm().hypot(module.b.grad.norm())))
            return (module.a * slopes[0]).sum() + (module.b * slopes[1]).sum()

        config = replace(CONFIG, epochs=1, clip=2.0)
        descend(module, lambda epoch: range(3), loss, config, options, place, steps=3, fingerprint={})
    assert lengths == pytest.approx([2.0, 2.0])


def test_weight_decay_spares_vectors() -> None:
    options = Options()
    with workplace(options) as place:
        module = nn.Linear(2, 2)
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        config = Descent(epochs=1, learning_rate=0.1, weight_decay=0.5, schedule="constant", warmup=0)
        descend(
            module, lambda _: range(1), lambda _: 0 * module(torch.ones(2)).sum(), config, options, place,
            steps=1, fingerprint={},
        )  # fmt: skip
    torch.testing.assert_close(module.bias.detach(), before["bias"])
    torch.testing.assert_close(module.weight.detach(), before["weight"] * (1 - 0.1 * 0.5))


def test_bfloat16_multiplies_in_it_and_learns_as_well() -> None:
    with workplace(Options(device="cpu"), "bfloat16") as place, place.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    found = Fit(dropout=0)(replace(CONFIG, epochs=60, patience=60, precision="bfloat16"))
    assert found["0.weight"].dtype == np.float32
    assert found["course"].best > -0.01


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidConfig, match="finds no GPU here"):
        Fit()(options=Options(device="cuda"))
    with pytest.raises(InvalidConfig, match="'tpu' is none of"):
        Fit()(options=Options(device="tpu"))


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"patience": 1.5}, {"learning_rate": 0}, {"learning_rate": float("nan")}, {"weight_decay": -1},
     {"clip": float("inf")}, {"warmup": 1}, {"schedule": "steps"}, {"precision": "float8"}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(wrong))):
        Descent(**wrong)
