"""Contrastive learning from nothing (SimCLR): what two distorted views of one thing have in common is what it is.

Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations". A network makes a vector of
each view, a small head on top of it makes another, and the loss asks that by the latter a view finds its twin among all
views of a batch. Afterwards the head is dropped. It needs no labels, only views; pictures and sounds share it.

Here are its settings, which an encoder's config builds on; simclr_learning has what needs torch.
"""

from dataclasses import dataclass

from recommender.engine.encoders.settings import check
from recommender.engine.learning.descent import Descent


@dataclass(frozen=True)
class SimclrConfig(Descent):
    epochs: int = 300
    """Passes over the items at most; many items are passed over less often, see `steps`."""
    steps: int = 1500
    """Batches in all, at most and about: what bounds the time, whatever the number of items. Not a number of minutes,
    so that the same items give the same network on any machine."""
    batch: int = 128
    """B: items in a step, each in two views. More of them make it harder to find one's twin, and a step longer."""
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: float = 0.05
    temperature: float = 0.2
    """What cosines are divided by. Lower ones look at those views only that are nearly taken for the twin."""
    projection: int = 64
    """Length of the vectors that the loss compares; they are dropped afterwards."""
    width: int = 32
    """Channels of the network's first layer; each further one has twice as many."""
    depth: int = 3
    """Residual blocks after the first layer, each at half the resolution."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check("steps", self.steps, 1, 10**6, whole=True)
        check("batch", self.batch, 2, 4096, whole=True)
        check("projection", self.projection, 2, 1024, whole=True)
        check("width", self.width, 4, 256, whole=True)
        check("depth", self.depth, 1, 5, whole=True)
        check("temperature", self.temperature, 0.01, 10)
