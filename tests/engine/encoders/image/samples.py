"""Pictures and tiny models for the image encoders' tests."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

SILENT = [np.full((40, 30, 3), level, dtype=np.uint8) for level in (0, 127, 255)] + [np.zeros((1, 1, 3), np.uint8)]


def noise(count: int, seed: int = 0) -> list[np.ndarray]:
    """Pictures of different shapes, coarse enough to survive being shrunk."""
    random = np.random.default_rng(seed)
    coarse = [random.integers(0, 256, (4, 5, 3), dtype=np.uint8) for _ in range(count)]
    return [np.repeat(np.repeat(one, 10 + n, axis=0), 9, axis=1) for n, one in enumerate(coarse)]


def saved(folder: Path, kind: str, processor: str, config: Any, **prepared: Any) -> str:
    """A real model of random weights in `folder`, as save_pretrained writes it."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        getattr(transformers, kind)(config).save_pretrained(folder)
    getattr(transformers, processor)(**prepared).save_pretrained(folder)
    return str(folder)


def thing(kind: str, seed: int) -> np.ndarray:
    """A disc, bar or cross of one colour before a rough background of another, anywhere near the middle."""
    random = np.random.default_rng(seed)
    height, width = random.integers(70, 110, 2)
    y, x = np.mgrid[:height, :width]
    reach = random.uniform(0.2, 0.3) * min(height, width)
    y = (y - height / 2 - random.uniform(-0.1, 0.1) * height) / reach
    x = (x - width / 2 - random.uniform(-0.1, 0.1) * width) / reach
    inside = {
        "disc": x**2 + y**2 < 1,
        "bar": (abs(x) < 0.35) & (abs(y) < 1.2),
        "cross": ((abs(x) < 0.3) & (abs(y) < 1)) | ((abs(y) < 0.3) & (abs(x) < 1)),
    }[kind]
    dark, light = random.integers(0, 90, 3), random.integers(150, 256, 3)
    figure, ground = (dark, light) if random.random() < 0.5 else (light, dark)
    picture = np.where(inside[..., None], figure, ground) + random.normal(0, 6, (height, width, 1))
    return picture.clip(0, 255).astype(np.uint8)
