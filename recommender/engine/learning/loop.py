"""Gradient descent for any torch module: epochs, early stopping, progress, and checkpoints that lose nothing.

Minimises the mean of `loss` over batches with AdamW (Loshchilov and Hutter 2019). Memory: the weights four times (with
their gradient and AdamW's two moments), and once more for the best ones where there is a judge.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from time import monotonic
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from recommender.engine.errors import NotFinite
from recommender.engine.learning import checkpoints
from recommender.engine.learning.descent import Descent
from recommender.engine.learning.schedules import SCHEDULES
from recommender.engine.learning.workplace import Workplace
from recommender.engine.options import Options

CHECKPOINT_EVERY_S = 30.0  # of work at most that a crash may cost, beside the epoch it falls into
TELL_EVERY_S = 0.5  # so that people see it move, and that cancelling takes a moment only
MEND = "Lower learning_rate."

Batch = TypeVar("Batch")
Beat = Callable[[], None]


@dataclass
class Course:
    """How it went; what `descend` gives back, and what a checkpoint remembers."""

    losses: list[float] = field(default_factory=list)
    """Mean loss of each epoch."""
    values: list[float] = field(default_factory=list)
    """What the judge said after each."""
    best: float | None = None
    best_epoch: int = 0
    """From 1; 0 where nobody judged."""
    work_s: float = 0.0
    """Seconds, those before an interruption among them."""


def descend(
    module: nn.Module,
    batches: Callable[[int], Iterable[Batch]],
    loss: Callable[[Batch], Tensor],
    config: Descent,
    options: Options,
    place: Workplace,
    *,
    steps: int,
    fingerprint: Mapping[str, Any],
    judge: Callable[[Beat], float] | None = None,
    judged: str = "NDCG@10",
    generators: Sequence[np.random.Generator] = (),
    shares: tuple[float, float] = (0.0, 1.0),
) -> Course:
    """Train `module`, which is on `place.device`, in place; it ends in eval mode with its best weights.

    `batches(epoch)`, epoch from 0, gives about `steps` batches; `loss` makes of one a scalar. `judge` tells after each
    epoch how good the module, in eval mode and without gradients, is on what it does not learn from: higher is better;
    where that takes more than a second, it calls what it is given now and then. `generators` are those that batches
    and loss draw from, beside torch's. `shares` are where in the whole fit's progress this begins and ends.

    Where `options.checkpoints` is a folder, a fit of the same `fingerprint` (JSON: whatever shapes the result) that was
    interrupted goes on where it was, and ends as if it never had been. Raises NotFinite, and what progress and report
    raise.
    """
    run = _Run(module, config, options, place, steps, judged, generators, shares)
    run.tell(0, f"learning {place.words}")
    run.resume(fingerprint)
    for epoch in range(len(run.course.losses), config.epochs):
        if run.out_of_patience:
            break
        run.epoch = epoch
        module.train()
        total, step = 0.0, -1
        for step, batch in enumerate(batches(epoch)):
            total += run.step(step, loss, batch)
            run.beat(step + 1, total / (step + 1))
        run.course.losses.append(total / max(1, step + 1))
        if not all(bool(torch.isfinite(weight).all()) for weight in module.parameters()):
            raise NotFinite(MEND)
        if judge is not None:
            module.eval()
            with torch.no_grad():
                run.note(judge(lambda: run.beat(steps)))
            options.report(epoch + 1, run.course.values[-1])
        run.keep(fingerprint)
    if run.best:
        module.load_state_dict(run.best)
    module.eval()
    if options.checkpoints is not None:
        checkpoints.clear(options.checkpoints)
    run.tell(1.0, run.words())
    return run.course


class _Run:
    """One descent's moving parts."""

    def __init__(
        self,
        module: nn.Module,
        config: Descent,
        options: Options,
        place: Workplace,
        steps: int,
        judged: str,
        generators: Sequence[np.random.Generator],
        shares: tuple[float, float],
    ) -> None:
        self.module, self.config, self.options, self.place = module, config, options, place
        self.steps, self.judged, self.generators, self.shares = max(1, steps), judged, generators, shares
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [weight for weight in weights if weight.dim() > 1], "weight_decay": config.weight_decay},
                {"params": [weight for weight in weights if weight.dim() <= 1], "weight_decay": 0.0},
            ],
            lr=config.learning_rate,
            fused=True,
        )
        self.weights = weights
        self.course, self.best = Course(), dict[str, Tensor]()
        self.epoch, self.loss = 0, float("nan")
        self.started = self.told = self.kept = monotonic()

    @property
    def out_of_patience(self) -> bool:
        return len(self.course.values) - self.course.best_epoch >= self.config.patience if self.course.values else False

    def step(self, step: int, loss: Callable[[Batch], Tensor], batch: Batch) -> float:
        """One step downhill; its loss."""
        steps = self.steps * self.config.epochs
        warmup = round(self.config.warmup * steps)
        factor = SCHEDULES[self.config.schedule](self.epoch * self.steps + min(step, self.steps - 1), steps, warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * factor
        with self.place.autocast():
            found = loss(batch)
        value = found.item()
        if not isfinite(value):
            raise NotFinite(MEND)
        self.optimiser.zero_grad(set_to_none=True)
        found.backward()
        if self.config.clip:
            nn.utils.clip_grad_norm_(self.weights, self.config.clip)
        self.optimiser.step()
        return value

    def note(self, value: float) -> None:
        """Remember what the judge said, and the weights where they are the best so far."""
        self.course.values.append(value)
        if self.course.best is None or value > self.course.best:
            self.course.best, self.course.best_epoch = value, len(self.course.values)
            self.best = {name: tensor.detach().clone() for name, tensor in self.module.state_dict().items()}

    # What people see

    def beat(self, steps: int, loss: float | None = None) -> None:
        self.loss = self.loss if loss is None else loss
        if monotonic() - self.told >= TELL_EVERY_S:
            share = (self.epoch + min(1.0, steps / self.steps)) / self.config.epochs
            self.tell(share, self.words(share))

    def words(self, share: float = 1.0) -> str:
        parts = [f"epoch {self.epoch + 1} of {self.config.epochs}", f"loss {self.loss:.4g}"]
        if self.course.values:
            parts.append(f"{self.judged} {self.course.values[-1]:.4f}".replace(" 0.", " ."))
        if 0 < share < 1:
            parts.append(f"{_duration(self.work_s * (1 - share) / share)} left")
        return ", ".join(parts)

    def tell(self, share: float, message: str) -> None:
        begin, end = self.shares
        self.told = monotonic()
        self.options.progress(begin + (end - begin) * share, message)

    @property
    def work_s(self) -> float:
        return self.course.work_s + monotonic() - self.started

    # What survives a crash

    def keep(self, fingerprint: Mapping[str, Any]) -> None:
        """Write a checkpoint, where there is a folder for it and the last one is old enough."""
        folder = self.options.checkpoints
        if folder is None or monotonic() - self.kept < CHECKPOINT_EVERY_S:
            return
        optimiser = self.optimiser.state_dict()["state"]
        tensors = {
            **{f"module/{name}": tensor for name, tensor in self.module.state_dict().items()},
            **{f"best/{name}": tensor for name, tensor in self.best.items()},
            **{
                f"optimiser/{row}/{name}": tensor
                for row, moment in optimiser.items()
                for name, tensor in moment.items()
            },
            "random/cpu": torch.get_rng_state(),
        }
        if self.place.device.type == "cuda":
            tensors["random/cuda"] = torch.cuda.get_rng_state(self.place.device)
        state = {
            "course": asdict(self.course) | {"work_s": self.work_s},
            "generators": [generator.bit_generator.state for generator in self.generators],
        }
        copies = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}  # tied weights share theirs
        checkpoints.save(folder, self.epoch + 1, copies, state, fingerprint)
        self.kept = monotonic()

    def resume(self, fingerprint: Mapping[str, Any]) -> None:
        """Go on from the last checkpoint, where there is one of this very fit."""
        folder = self.options.checkpoints
        found = None if folder is None else checkpoints.load(folder, fingerprint)
        if found is None:
            return
        if isinstance(found, str):
            self.tell(0, f"starting anew: {found}")
            return
        tensors, state = found
        self.course = Course(**state["course"])
        self.epoch = len(self.course.losses) - 1
        self.loss = self.course.losses[-1]
        self.module.load_state_dict(_under(tensors, "module/"))
        self.best = {name: tensor.to(self.place.device) for name, tensor in _under(tensors, "best/").items()}
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under(tensors, "optimiser/").items():
            row, key = name.split("/")
            moments.setdefault(int(row), {})[key] = tensor
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})
        torch.set_rng_state(tensors["random/cpu"])
        if "random/cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random/cuda"], self.place.device)
        for generator, numbers in zip(self.generators, state["generators"], strict=True):
            generator.bit_generator.state = numbers
        self.tell((self.epoch + 1) / self.config.epochs, f"going on after {self.words()}")


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _duration(seconds: float) -> str:
    """ "40 s", "4 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
