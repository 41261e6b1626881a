"""Spaces of vectors in memory, and encoders whose answers can be told by looking."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from recommender.engine.data import pictures, sounds
from recommender.services.content import vectors
from recommender.services.content.vectors import Space


@dataclass(frozen=True)
class ByRule:
    """An opened encoder that is one function of one input."""

    rule: Callable[[Any], np.ndarray]
    dimension: int

    def encode(self, inputs: Sequence[Any]) -> np.ndarray:
        return np.stack([unit(self.rule(one)) for one in inputs])

    def get(self) -> "ByRule":
        return self


def unit(vector: Any) -> np.ndarray:
    found = np.asarray(vector, dtype=np.float32)
    length = np.linalg.norm(found)
    return found / length if length else found


def colours(picture: np.ndarray) -> np.ndarray:
    """(3,): the mean red, green and blue; 0 of one colour alone."""
    return np.zeros(3) if pictures.flat(picture) else picture.reshape(-1, 3).mean(axis=0)


def pitches(sound: np.ndarray) -> np.ndarray:
    """(4,): the strength below 250, 1,000 and 4,000 Hz, and above."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / sounds.RATE)
    return np.array([power[(hertz >= low) & (hertz < high)].sum() for low, high in BANDS])


BANDS = ((20, 250), (250, 1000), (1000, 4000), (4000, 8001))
IMAGE, AUDIO = ByRule(colours, 3), ByRule(pitches, 4)


def space(modality: str, items: Mapping[str, Any], encoder: ByRule | None = None) -> Space:
    """A space of these items: vectors by id, of any length."""
    table = np.stack([unit(vector) for vector in items.values()]) if items else np.zeros((0, 3), dtype=np.float32)
    rows = {item_id: row for row, item_id in enumerate(items)}
    return Space(modality, "rule", table.shape[1], _fresh=rows, _fresh_vectors=table, _lazy=encoder)  # type: ignore[arg-type]


def install(monkeypatch: pytest.MonkeyPatch, *spaces: Space) -> None:
    """Have the site serve from these spaces and no others."""
    found = {one.modality: one for one in spaces}
    monkeypatch.setattr(vectors, "space", found.get)


def picture(colour: tuple[int, ...] = (20, 30, 200), size: tuple[int, int] = (32, 32)) -> bytes:
    """A PNG of about that colour."""
    noise = np.random.default_rng(1).integers(0, 40, (*size, 3)) + np.array(colour)
    file = io.BytesIO()
    Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def tone(hertz: float = 100) -> bytes:
    """A WAV of half a second."""
    file = io.BytesIO()
    soundfile.write(file, 0.5 * np.sin(2 * np.pi * hertz * np.arange(8000) / 16_000), 16_000, format="WAV")
    return file.getvalue()
