"""Trainers with settings that suit some kind of data: what `blend` may mix and `auto` chooses among.

Settings were chosen on validation parts (docs/benchmarks.md); what is not named is the trainer's default.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType
from typing import Any

import numpy as np

from recommender.engine.data.interactions import Interactions

SAMPLED = 4 * 4096  # items from which sasrec learns from a sample
BLOCKS = 2  # of its transformer
PER_SECOND = 2.5e10  # of its events x D x (N + L + 12 D blocks): 29 s an epoch on ml-1m-sequences, 4.6 s on beauty
LONG = 50  # mean events of a user from which histories are long: 165 in ml-1m, 9 in beauty


@dataclass(frozen=True)
class Preset:
    trainer: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    sequential: bool = False
    """Reads the order of events, so it is of no use where times say nothing."""
    family: str = ""
    """What it is much like: of each family, one at most goes into a blend. The trainer where none is named."""

    share: int = 1
    """Of the time that is left, beside the others' shares, where it learns in epochs and would take all there is."""
    lengths: tuple[float, float] = (0.0, inf)
    """Mean events of a user, from and below, that it is meant for."""

    def suits(self, data: Interactions) -> bool:
        shortest, longest = self.lengths
        return shortest <= len(data) / max(1, int(np.count_nonzero(np.diff(data.indptr)))) < longest

    def epoch_s(self, data: Interactions) -> float:
        """Seconds that an epoch takes on two cores, about; 0 where no cheap rule is known."""
        if self.trainer != "sasrec":
            return 0.0
        size, read = self.settings["factors"], self.settings["max_length"]
        items = min(data.shape[1], SAMPLED)
        return float(len(data) * size * (items + read + 12 * size * BLOCKS) / PER_SECOND)

    @property
    def kin(self) -> str:
        return self.family or self.trainer


# In order of what they cost to fit and to serve, which is also the order in which `auto` tries them and prefers equals.
# A name that is also a trainer's stands for that trainer with its defaults.
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "popularity": Preset("popularity"),
        "item_knn": Preset("item_knn"),
        "item_knn_untimed": Preset("item_knn", {"half_life_items": 0.0}),
        "item_knn_sequence": Preset(
            "item_knn",
            {
                "counting": "sequence", "weighting": "cosine", "half_life_items": 2.0, "neighbours": 500,
                "source_power": 0.75, "target_power": 0.3, "sharpness": 0.4, "shrinkage": 0.1, "backward": 0.0,
            },
            sequential=True,
            family="item_knn_sequence",
        ),
        "item_knn_sequence_sparse": Preset(
            "item_knn",
            {
                "counting": "sequence", "weighting": "cosine", "power": 0.0, "half_life_items": 2.0, "neighbours": 500,
                "source_power": 0.75, "target_power": 0.1, "sharpness": 0.7, "shrinkage": 1.5, "backward": 0.0,
            },
            sequential=True,
            family="item_knn_sequence",
        ),
        "als": Preset("als"),
        "spectral": Preset("spectral"),
        "spectral_dense": Preset(
            "spectral",
            {
                "factors": 128, "low_pass": 1.0, "sharpness": 0.15, "user_power": 0.35, "item_power": 0.4,
                "popularity": 0.3, "half_life_items": 0.0,
            },
        ),
        "ease": Preset("ease"),
        "ease_untimed": Preset("ease", {"half_life_items": 0.0}),
        "spectral_recent": Preset(
            "spectral",
            {
                "factors": 512, "low_pass": 0.4, "sharpness": 0.0, "user_power": 0.2, "item_power": 0.4,
                "popularity": 0.2, "half_life_items": 1.5,
            },
            sequential=True,
        ),
        "spectral_sparse": Preset(
            "spectral",
            {
                "factors": 512, "low_pass": 0.4, "sharpness": 0.12, "user_power": 0.35, "item_power": 0.39,
                "popularity": 0.35, "half_life_items": 0.0, "neighbours": 1500, "regression": 0.1,
            },
        ),
        "lmf": Preset("lmf"),
        "bpr": Preset("bpr"),
        "item2vec": Preset("item2vec"),
        "als_sparse": Preset("als", {"factors": 512, "regularization": 2.0, "alpha": 30.0, "iterations": 8}),
        "matrix": Preset("matrix"),
        "two_tower": Preset("two_tower"),
        "sasrec_short": Preset(
            "sasrec",
            {
                "factors": 64, "max_length": 50, "dropout": 0.5, "learning_rate": 0.003, "batch_tokens": 4096,
                "weight_decay": 0.3, "epochs": 30, "patience": 8,
            },
            sequential=True,
            share=4,
            lengths=(0.0, LONG),
        ),
        "sasrec_long": Preset(
            "sasrec",
            {
                "factors": 128, "heads": 2, "blocks": 2, "max_length": 200, "dropout": 0.3, "learning_rate": 0.003,
                "epochs": 40, "patience": 10,
            },
            sequential=True,
            share=8,
            lengths=(LONG, inf),
        ),
    }
)  # fmt: skip
