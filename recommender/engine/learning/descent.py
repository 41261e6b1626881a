"""The settings that every fit by gradient descent has in common. Knows no torch, so that a config may build on it."""

from dataclasses import dataclass, field

from recommender.engine.errors import InvalidConfig
from recommender.engine.learning.schedules import SCHEDULES

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Descent:
    """How the weights go downhill. A trainer's config inherits this and gives the defaults that suit it."""

    epochs: int = 50
    """Passes over the data at most; early stopping may end sooner."""
    patience: int = 5
    """Epochs without a better value on the events held out before training stops; the best weights are kept."""
    learning_rate: float = field(default=1e-3, metadata={"tune": (3e-4, 1e-3, 3e-3, 1e-2)})
    """The highest step size of AdamW (Loshchilov and Hutter 2019)."""
    weight_decay: float = field(default=0.0, metadata={"tune": (0.0, 0.01, 0.1)})
    """Share of a matrix's weights, times the learning rate, that each step takes away; vectors (biases, gains) keep
    theirs."""
    clip: float = 1.0
    """Longest gradient, over all weights together; longer ones are shortened to it. 0 leaves them as they are."""
    schedule: str = "cosine"
    """How the learning rate changes: "constant", "cosine" or "linear"; all but the first end at 0."""
    warmup: float = 0.02
    """Share of all steps in which the learning rate rises from 0."""
    precision: str = "auto"
    """Of matrix products: "float32", "bfloat16", or "auto" for bfloat16 where the processor has it. Weights and losses
    are float32 in any case."""

    def __post_init__(self) -> None:
        for name in ("epochs", "patience"):
            value = getattr(self, name)
            if not (isinstance(value, int) and 1 <= value <= 10_000):
                raise InvalidConfig(f"{name} must be a whole number from 1 to 10000.")
        if not 0 < self.learning_rate < float("inf"):
            raise InvalidConfig("learning_rate must be above 0.")
        for name in ("weight_decay", "clip"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InvalidConfig(f"{name} must be 0 or more.")
        if not 0 <= self.warmup < 1:
            raise InvalidConfig("warmup must be from 0 to below 1.")
        for name, known in (("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise InvalidConfig(f"{name} {getattr(self, name)!r} is none of: {', '.join(known)}.")
