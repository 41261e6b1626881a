"""Trainers with settings that suit some kind of data: what `blend` may mix and `auto` chooses among.

Settings were chosen on validation parts (docs/benchmarks.md); what is not named is the trainer's default.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Preset:
    trainer: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    sequential: bool = False
    """Reads the order of events, so it is of no use where times say nothing."""
    family: str = ""
    """What it is much like: of each family, one at most goes into a blend. The trainer where none is named."""

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
        "spectral_sparse": Preset(
            "spectral",
            {
                "factors": 512, "low_pass": 0.4, "sharpness": 0.12, "user_power": 0.35, "item_power": 0.39,
                "popularity": 0.25, "half_life_items": 0.0, "neighbours": 1000,
            },
        ),
        "spectral_recent": Preset(
            "spectral",
            {
                "factors": 512, "low_pass": 0.4, "sharpness": 0.0, "user_power": 0.2, "item_power": 0.4,
                "popularity": 0.2, "half_life_items": 1.5,
            },
            sequential=True,
        ),
        "ease": Preset("ease"),
        "ease_untimed": Preset("ease", {"half_life_items": 0.0}),
        "lmf": Preset("lmf"),
        "bpr": Preset("bpr"),
        "item2vec": Preset("item2vec"),
        "matrix": Preset("matrix"),
        "two_tower": Preset("two_tower"),
        "sasrec": Preset("sasrec", sequential=True),
    }
)  # fmt: skip
