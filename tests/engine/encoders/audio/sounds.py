"""Sounds whose kinds are known: glides, beats, chords and noise, in several voices."""

import numpy as np

from recommender.engine.data.sounds import RATE, Sound


def glide(low: float, high: float, seconds: float = 0.6, voice: float = 1.0, seed: int = 0) -> Sound:
    """A buzz whose one resonance goes from `low` to `high` Hz; `voice` scales its resonance and its pitch."""
    time = np.arange(round(seconds * RATE)) / RATE
    pitch = 110 * voice
    sound = np.zeros_like(time)
    centre = voice * (low + (high - low) * time / seconds)
    for overtone in range(1, int(7000 / pitch)):
        sound += np.sin(2 * np.pi * pitch * overtone * time) / (1 + ((pitch * overtone - centre) / 200) ** 2)
    sound += 0.01 * np.random.default_rng(seed).standard_normal(len(time))
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def noise(seconds: float = 0.5, seed: int = 0) -> Sound:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


VARIED: list[Sound] = [
    glide(500, 2500),
    glide(2500, 500),
    glide(700, 700, 0.3),
    noise(),
    np.concatenate([noise(0.1, 1), np.zeros(1600, dtype=np.float32)] * 8),
    np.concatenate([glide(400, 3000, 1.0), glide(3000, 400, 2.5)]),
    glide(1500, 1500, 0.02),
]
"""Seven, from 20 ms to 3.5 s, that differ."""

SILENT: list[Sound] = [
    np.zeros(RATE, dtype=np.float32),
    np.zeros(1, dtype=np.float32),
    np.full(RATE // 2, 0.25, dtype=np.float32),
    np.zeros(0, dtype=np.float32),
]


def worlds(voices: int = 4) -> tuple[list[Sound], np.ndarray, np.ndarray]:
    """Four words, each said by each voice twice at another speed: sounds, words (N,), voices (N,)."""
    words = [(500, 2500), (2500, 500), (600, 1000), (2200, 1600)]
    made, word_of, voice_of = [], [], []
    for voice in range(voices):
        for word, (low, high) in enumerate(words):
            for take in range(2):
                size = 0.8 + 0.4 * voice / max(1, voices - 1)
                made.append(glide(low, high, 0.4 + 0.05 * voice + 0.1 * take, size, seed=len(made)))
                word_of.append(word)
                voice_of.append(voice)
    return made, np.array(word_of), np.array(voice_of)
