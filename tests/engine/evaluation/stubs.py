"""A trainer whose worth is known: each setting says how good its answers are, how long they take and how they fail."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import InvalidConfig, NotFinite, TooLarge
from recommender.engine.trainers import TRAINERS, Options


class Clock:
    """Time that passes only where somebody says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()
FITTED: list["StubConfig"] = []


@dataclass(frozen=True)
class StubConfig:
    hits: int = field(default=1, metadata={"tune": (0, 1, 2, 3, 4, 5)})
    """Of every five users, so many are answered well."""
    idle: str = field(default="a", metadata={"tune": ("c", "a", "b")})
    """Changes nothing."""
    seconds: float = 1.0
    epochs: int = 0
    fails: str = ""

    def __post_init__(self) -> None:
        if self.hits == 4 and self.idle == "b":
            raise InvalidConfig("4 does not go with b.")


@dataclass(frozen=True)
class StubQuery:
    """Users tell who they are by the first item they have; even users want even items."""

    hits: int
    items: int
    item_vectors: None = None

    def scores(self, histories: Histories) -> np.ndarray:
        found = np.zeros((len(histories), self.items), dtype=np.float32)
        for row, (items, _, _) in enumerate(histories):
            if len(items) and int(items[0]) % 5 < self.hits:
                found[row, items[0] % 2 :: 2] = 1
            else:
                found[row, (items[0] + 1) % 2 if len(items) else 0 :: 2] = 1
        return found


class StubTrainer:
    Config = StubConfig

    @staticmethod
    def fit(data: Interactions, config: StubConfig, options: Options) -> dict[str, Any]:
        FITTED.append(config)
        if config.fails == "memory":
            raise MemoryError
        if config.fails:
            raise {"finite": NotFinite, "large": TooLarge}[config.fails]("As asked.")
        for tenth in range(1, 11):
            CLOCK.now += config.seconds / 10
            options.progress(tenth / 10, f"{tenth} tenths")
        for epoch in range(1, config.epochs + 1):
            options.report(epoch, config.hits * epoch / 100)
        return {"hits": np.array(config.hits), "items": np.array(data.shape[1])}

    @staticmethod
    def query(arrays: dict[str, Any], config: StubConfig) -> StubQuery:
        return StubQuery(int(arrays["hits"]), int(arrays["items"]))


def register(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Have TRAINERS hold the stub under each name for this test, and time begin at 0."""
    for name in names:
        monkeypatch.setitem(TRAINERS, name, f"{__name__}.StubTrainer")
    FITTED.clear()
    CLOCK.now = 0.0
