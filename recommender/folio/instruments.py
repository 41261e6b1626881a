"""Instruments, drums, reverb and a small mixing desk for the synthesised records.

Everything is NumPy and SciPy. Sounds are float32 arrays of shape (samples,) at a rate of ``sample_rate_hz``;
pitches are MIDI numbers (60 is middle C), positions and lengths in a song are in beats.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

T = TypeVar("T")
Samples = NDArray[np.float32]
Motif = list[tuple[float, float, int]]  # (offset in beats, length in beats, step in scale degrees)
Line = list[tuple[float, float, int]]  # (offset in beats, length in beats, MIDI pitch)

PEAK = 10 ** (-1 / 20)  # -1 dBFS
MAX_HARMONICS = 48
NOTE_NAMES = ("C", "C sharp", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
DORIAN = (0, 2, 3, 5, 7, 9, 10)
BLUES = (0, 3, 5, 6, 7, 10)


def variant(item_id: str) -> int:
    """Which of three line-ups (0, 1 or 2) plays a record; the descriptions name the same one."""
    return zlib.crc32(item_id.encode()) // 58 % 3


@dataclass(frozen=True)
class Timbre:
    """A harmonic spectrum and how it moves in time.

    Harmonic k starts at ``k ** -tilt``, shaped by a comb ``sin(pi k comb)``: the picking point of a string,
    or the duty cycle of a pulse wave. With ``ring_s`` the harmonics die away one by one (plucked and struck
    sounds, the higher the sooner by ``damping``); without it the note is held (wind, bow, synthesiser).
    """

    tilt: float
    comb: float = 0.0
    ring_s: float = 0.0
    damping: float = 0.0
    partials: tuple[int, ...] = ()
    detune_cents: float = 0.0
    attack_s: float = 0.003
    release_s: float = 0.03
    vibrato_cents: float = 0.0

    def amplitudes(self, count: int, brightness: float) -> NDArray[np.float64]:
        """Amplitudes of harmonics 1..count, shape (count,), of unit energy."""
        k = np.arange(1, count + 1)
        levels = k ** -(self.tilt / brightness)
        if self.comb:
            levels = levels * np.abs(np.sin(np.pi * k * self.comb))
        if self.partials:
            levels = levels * np.isin(k, self.partials)
        return np.asarray(levels / math.sqrt(float(np.sum(levels**2)) + 1e-12))


ODD = tuple(range(1, MAX_HARMONICS, 2))
TIMBRES: dict[str, Timbre] = {
    "steel guitar": Timbre(0.9, comb=0.14, ring_s=0.9, damping=0.22),
    "nylon guitar": Timbre(1.4, comb=0.3, ring_s=0.6, damping=0.4),
    "banjo": Timbre(0.6, comb=0.11, ring_s=0.24, damping=0.12),
    "lute": Timbre(1.0, comb=0.2, ring_s=0.5, damping=0.25),
    "harpsichord": Timbre(0.55, comb=0.09, ring_s=0.5, damping=0.1),
    "harp": Timbre(1.6, comb=0.35, ring_s=1.2, damping=0.4),
    "piano": Timbre(1.35, comb=0.12, ring_s=0.9, damping=0.35, detune_cents=2.0),
    "felt piano": Timbre(2.2, ring_s=1.2, damping=0.6, attack_s=0.012),
    "electric piano": Timbre(1.5, ring_s=0.9, damping=0.5, partials=(1, 2, 3, 5, 9), detune_cents=3.0),
    "vibraphone": Timbre(1.1, ring_s=1.3, damping=0.3, partials=(1, 4, 10)),
    "marimba": Timbre(0.9, ring_s=0.28, damping=0.4, partials=(1, 4, 10)),
    "glass bells": Timbre(0.7, ring_s=1.5, damping=0.15, partials=(1, 3, 7, 11)),
    "double bass": Timbre(1.5, comb=0.22, ring_s=0.5, damping=0.4),
    "synth bass": Timbre(1.0, ring_s=0.3, damping=0.3),
    "stab": Timbre(0.9, ring_s=0.28, damping=0.1, detune_cents=9.0),
    "flute": Timbre(2.4, attack_s=0.06, release_s=0.08, vibrato_cents=14),
    "whistle": Timbre(2.8, attack_s=0.03, release_s=0.05, vibrato_cents=10),
    "recorder": Timbre(2.2, partials=ODD, attack_s=0.03, release_s=0.05, vibrato_cents=6),
    "clarinet": Timbre(1.3, partials=(*ODD[:9], 4, 6), attack_s=0.05, release_s=0.08),
    "fiddle": Timbre(1.15, comb=0.17, attack_s=0.05, release_s=0.07, vibrato_cents=18),
    "viola da gamba": Timbre(1.25, comb=0.21, attack_s=0.06, release_s=0.1, vibrato_cents=7),
    "accordion": Timbre(1.05, comb=0.35, attack_s=0.04, release_s=0.06, detune_cents=7.0),
    "harmonica": Timbre(0.95, comb=0.4, attack_s=0.04, release_s=0.06, detune_cents=4.0, vibrato_cents=16),
    "lead guitar": Timbre(0.95, comb=0.2, ring_s=1.6, damping=0.05, vibrato_cents=14),
    "organ": Timbre(0.6, partials=(1, 2, 3, 4, 6, 8), attack_s=0.008, release_s=0.04),
    "reese": Timbre(1.15, detune_cents=18.0, attack_s=0.01, release_s=0.04),
    "sub": Timbre(3.2, attack_s=0.015, release_s=0.06),
    "square": Timbre(1.0, comb=0.5),
    "pulse": Timbre(1.0, comb=0.25),
    "thin pulse": Timbre(1.0, comb=0.125),
    "triangle": Timbre(2.0, partials=ODD),
}


def frequency(midi: float) -> float:
    """Equal-tempered frequency_hz of a MIDI pitch."""
    return float(440.0 * 2.0 ** ((midi - 69) / 12))


def _read(table: NDArray[np.float32], position: NDArray[np.float64]) -> Samples:
    """Read a table (points,) at fractional positions (samples,), linearly interpolated."""
    index = position.astype(np.int32)
    fraction = (position - index).astype(np.float32)
    low = table[index]
    return np.asarray(low + (table[index + 1] - low) * fraction, dtype=np.float32)


def _cycles(timbre: Timbre, frequency_hz: float, count: int, sample_rate_hz: int) -> NDArray[np.float64]:
    """Phase in cycles of each of ``count`` samples, with a vibrato that opens after the attack."""
    t = np.arange(count) / sample_rate_hz
    phase = frequency_hz * t
    if timbre.vibrato_cents:
        rate_hz = 5.3
        swing = frequency_hz * (2 ** (timbre.vibrato_cents / 1200) - 1) / (2 * np.pi * rate_hz)
        phase += swing * np.clip(4 * t - 0.6, 0, 1) * np.sin(2 * np.pi * rate_hz * t)
    return np.maximum(phase, 0)


def _ringing_table(timbre: Timbre, frequency_hz: float, periods: int, levels: NDArray[np.float64]) -> Samples:
    """Successive periods of a plucked string, flattened.

    This is the Karplus-Strong loop solved in the frequency domain: one trip round the string multiplies each
    harmonic by its own loss, so every period comes from one batched inverse FFT and stays exactly in tune.
    """
    k = np.arange(1, len(levels) + 1)
    ring_s = timbre.ring_s * (220 / frequency_hz) ** 0.4  # short strings ring for less long
    rate = (1 + timbre.damping * (k - 1)) / (ring_s * frequency_hz)
    points = 1 << max(5, math.ceil(math.log2(4 * len(levels))))
    spectrum = np.zeros((periods, points // 2 + 1), dtype=np.complex64)
    phases = np.exp(1j * np.pi * k * k / len(levels))  # spread phases: a rounder wave, less peaky attacks
    spectrum[:, 1 : len(levels) + 1] = (levels * phases) * np.exp(-np.arange(periods)[:, None] * rate)
    return np.asarray(fft.irfft(spectrum, n=points, axis=1).ravel() * (points / 2), dtype=np.float32)


@lru_cache(maxsize=512)
def _steady_table(timbre: Timbre, harmonics: int, brightness: float) -> Samples:
    """One band-limited period, shape (1025,), the first point repeated at the end."""
    spectrum = np.zeros(513, dtype=np.complex64)
    spectrum[1 : harmonics + 1] = -1j * timbre.amplitudes(harmonics, brightness)
    table = fft.irfft(spectrum, n=1024) * 512
    return np.asarray(np.append(table, table[0]), dtype=np.float32)


def envelope(count: int, attack_s: float, release_s: float, sample_rate_hz: int) -> Samples:
    """Raised-cosine attack and release, shape (count,): no corner, so no click."""
    gain = np.ones(count, dtype=np.float32)
    attack, release = (min(count // 2, round(s * sample_rate_hz)) for s in (attack_s, release_s))
    gain[:attack] = 0.5 - 0.5 * np.cos(np.pi * np.arange(attack) / max(attack, 1))
    gain[count - release :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, release + 1) / max(release, 1))
    return gain


def note(name: str, midi: int, duration_s: float, sample_rate_hz: int, brightness: float = 1.0) -> Samples:
    """One note of a named timbre, shape (samples,), about unit energy at its start."""
    timbre = TIMBRES[name]
    count = max(64, round((duration_s + (0 if timbre.ring_s else timbre.release_s)) * sample_rate_hz))
    out = np.zeros(count, dtype=np.float32)
    voices = (-timbre.detune_cents, timbre.detune_cents) if timbre.detune_cents else (0.0,)
    for cents in voices:
        frequency_hz = frequency(midi + cents / 100)
        harmonics = max(1, min(MAX_HARMONICS, int(0.45 * sample_rate_hz / frequency_hz)))
        cycles = _cycles(timbre, frequency_hz, count, sample_rate_hz)
        if timbre.ring_s:
            levels = timbre.amplitudes(harmonics, brightness)
            table = _ringing_table(timbre, frequency_hz, int(cycles.max()) + 2, levels)
            out += _read(table, cycles * (1 << max(5, math.ceil(math.log2(4 * harmonics)))))
        else:
            out += _read(_steady_table(timbre, harmonics, brightness), cycles % 1.0 * 1024)
    out *= envelope(count, timbre.attack_s, timbre.release_s, sample_rate_hz) / math.sqrt(len(voices))
    return out


def pad(
    pitches: Sequence[int], duration_s: float, sample_rate_hz: int, rng: np.random.Generator,
    tilt: float = 1.2, cutoff_hz: float = 2400.0, width_cents: float = 22.0, sweep_s: float = 6.0,
) -> Samples:  # fmt: skip
    """An evolving chord, shape (samples,): each harmonic is a narrow band of noise, as in a choir.

    A dark and a bright version share their phases; a slow sweep between them is the filter opening.
    """
    count = round(duration_s * sample_rate_hz)
    size = fft.next_fast_len(count, real=True)
    resolution_hz = sample_rate_hz / size
    magnitude = np.zeros(size // 2 + 1, dtype=np.float32)
    for base_hz in map(frequency, pitches):
        for k in range(1, int(min(24, 0.45 * sample_rate_hz / base_hz)) + 1):
            spread_hz = k * base_hz * (2 ** (width_cents / 1200) - 1)
            reach = 3 * spread_hz
            low, high = (int((k * base_hz + side) / resolution_hz) for side in (-reach, reach))
            offset = (np.arange(low, high + 1) * resolution_hz - k * base_hz) / spread_hz
            magnitude[low : high + 1] += k**-tilt / math.sqrt(spread_hz) * np.exp(-(offset**2))
    frequencies_hz = np.arange(len(magnitude)) * resolution_hz
    cutoffs_hz = np.array([[cutoff_hz / 4], [cutoff_hz]])
    lowpass = 1 / np.sqrt(1 + (frequencies_hz / cutoffs_hz) ** 4)
    phases = np.exp(2j * np.pi * rng.random(len(magnitude)))
    dark, bright = fft.irfft((lowpass * magnitude * phases).astype(np.complex64), n=size, axis=1)[:, :count]
    opening = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(count) / sample_rate_hz / sweep_s + rng.random()))
    sound = dark + (bright - dark) * opening
    return np.asarray(sound / (3 * np.sqrt(np.mean(sound**2)) + 1e-9), dtype=np.float32)


def _noise(count: int, sample_rate_hz: int, low_hz: float, high_hz: float, seed: int) -> NDArray[np.float64]:
    """Band-passed white noise of unit RMS, shape (count,)."""
    white = np.random.default_rng(seed).standard_normal(count)
    band = (low_hz, min(high_hz, 0.49 * sample_rate_hz))
    sound = signal.sosfilt(signal.butter(2, band, "bandpass", fs=sample_rate_hz, output="sos"), white)
    return np.asarray(sound / np.sqrt(np.mean(sound**2)))


def _burst(duration_s: float, low_hz: float, high_hz: float, decay_s: float) -> Callable[[int], Samples]:
    """A drum made of decaying noise: hats, shakers, brushes."""

    def hit(rate: int) -> Samples:
        t = np.arange(round(duration_s * rate)) / rate
        sound = _noise(len(t), rate, low_hz, high_hz, seed=round(low_hz)) * np.exp(-t / decay_s)
        return np.asarray(0.5 * sound * envelope(len(t), 0.001, 0.01, rate), dtype=np.float32)

    return hit


def _thump(duration_s: float, low_hz: float, drop_hz: float, decay_s: float) -> Callable[[int], Samples]:
    """A drum made of a sine that falls in pitch: kicks and toms."""

    def hit(rate: int) -> Samples:
        t = np.arange(round(duration_s * rate)) / rate
        phase = low_hz * t + drop_hz * 0.022 * (1 - np.exp(-t / 0.022))
        sound = np.sin(2 * np.pi * phase) * np.exp(-t / decay_s)
        return np.asarray(1.5 * sound * envelope(len(t), 0.001, 0.03, rate), dtype=np.float32)

    return hit


def _snare(tone_hz: float, decay_s: float, noise: float, low_hz: float) -> Callable[[int], Samples]:
    """A drum made of a short tone and a longer rattle: snares, claps and rims."""

    def hit(rate: int) -> Samples:
        t = np.arange(round(0.26 * rate)) / rate
        tone = np.sin(2 * np.pi * tone_hz * t) * np.exp(-t / 0.035)
        rattle = _noise(len(t), rate, low_hz, 9000, seed=round(tone_hz)) * np.exp(-t / decay_s)
        sound = 0.8 * tone + noise * rattle
        return np.asarray(sound * envelope(len(t), 0.001, 0.03, rate), dtype=np.float32)

    return hit


DRUMS: dict[str, Callable[[int], Samples]] = {
    "kick": _thump(0.32, 52, 130, 0.13),
    "soft kick": _thump(0.26, 58, 60, 0.08),
    "foot": _thump(0.2, 75, 60, 0.05),
    "snare": _snare(190, 0.07, 0.5, 900),
    "ghost": _snare(215, 0.03, 0.35, 1500),
    "clap": _snare(950, 0.08, 0.55, 800),
    "rim": _snare(1650, 0.008, 0.2, 1500),
    "brush": _burst(0.24, 1400, 7000, 0.08),
    "hat": _burst(0.09, 6500, 10800, 0.02),
    "open hat": _burst(0.26, 5800, 10800, 0.08),
    "shaker": _burst(0.09, 4200, 9500, 0.028),
    "ride": _burst(0.4, 5000, 9500, 0.12),
    "chip kick": _thump(0.14, 70, 220, 0.05),
    "chip snare": _burst(0.14, 1000, 6000, 0.04),
    "chip hat": _burst(0.05, 5000, 10500, 0.012),
}


@lru_cache(maxsize=256)
def drum(name: str, sample_rate_hz: int) -> Samples:
    """One hit of a named drum, shape (samples,); the same array each time, so treat it as read-only."""
    return DRUMS[name](sample_rate_hz)


@lru_cache(maxsize=16)
def _room(decay_s: float, sample_rate_hz: int) -> Samples:
    """Impulse response of a room, shape (samples,): noise whose treble dies sooner than its middle."""
    t = np.arange(round(1.6 * decay_s * sample_rate_hz)) / sample_rate_hz
    middle = _noise(len(t), sample_rate_hz, 180, 1800, seed=3) * np.exp(-4.2 * t / decay_s)
    treble = _noise(len(t), sample_rate_hz, 1800, 7000, seed=4) * np.exp(-8.0 * t / decay_s)
    response = (middle + 0.5 * treble) * np.clip(t / 0.012, 0, 1)
    return np.asarray(response / np.sqrt(np.sum(response**2)), dtype=np.float32)


class Song:
    """One piece being composed: the key and clock, and a dry and a reverberant bus of shape (samples,)."""

    def __init__(
        self, item_id: str, tempo_bpm: int, key: str, energy: float, duration_s: float, sample_rate_hz: int
    ) -> None:
        """``energy`` runs from 0 (calm) to 1 (lively) and makes timbres brighter."""
        seed = zlib.crc32(item_id.encode())
        self.rng = np.random.default_rng(seed)
        self.variant = variant(item_id)
        self.energy = energy
        self.sample_rate_hz = sample_rate_hz
        self.beat_s = 60.0 / tempo_bpm
        self.beats = duration_s / self.beat_s
        name, self.mode = key.rsplit(" ", 1)
        self.tonic = 48 + NOTE_NAMES.index(name)
        self.scale: tuple[int, ...] = SCALES[self.mode]
        self.raise_leading = False  # common practice: a major dominant in minor keys
        self.looseness_s = 0.0  # how far human hands stray from the grid
        self.dry = np.zeros(round(duration_s * sample_rate_hz), dtype=np.float32)
        self.wet = np.zeros_like(self.dry)
        self._notes: dict[tuple[str, int, float], Samples] = {}

    def bars(self, beats_per_bar: float = 4) -> range:
        """Bar numbers that cover the whole song."""
        return range(math.ceil(self.beats / beats_per_bar))

    def choose(self, options: Sequence[T]) -> T:
        """One option, at random but always the same for the same record."""
        return options[int(self.rng.integers(len(options)))]

    def add(self, sound: Samples, beat: float, gain: float, send: float) -> None:
        """Mix a sound in at a beat, even before the start or past the end; ``send`` goes to the room."""
        start = round(beat * self.beat_s * self.sample_rate_hz)
        sound = sound[max(0, -start) :]
        start = max(0, start)
        sound = gain * sound[: max(0, len(self.dry) - start)]
        self.dry[start : start + len(sound)] += sound
        if send:
            self.wet[start : start + len(sound)] += np.float32(send) * sound

    def play(self, name: str, midi: int, beat: float, length: float, gain: float, send: float = 0.2) -> None:
        """Play one note for ``length`` beats; the same note is only synthesised once in a song."""
        if beat >= self.beats:
            return
        key = (name, midi, round(length, 3))
        if key not in self._notes:
            brightness = 0.85 + 0.3 * self.energy
            self._notes[key] = note(name, midi, length * self.beat_s, self.sample_rate_hz, brightness)
        if self.looseness_s:
            beat += abs(self.rng.normal(0, self.looseness_s)) / self.beat_s
            gain *= self.rng.uniform(0.85, 1.1)
        self.add(self._notes[key], beat, gain, send)

    def hit(self, name: str, beat: float, gain: float, send: float = 0.05) -> None:
        """Play one drum."""
        if beat < self.beats:
            self.add(drum(name, self.sample_rate_hz), beat, gain, send)

    def swell(
        self, pitches: Sequence[int], beat: float, length: float, gain: float, fade: float = 2, **shape: float
    ) -> None:
        """Play a pad for ``length`` beats, crossfading over ``fade`` beats at both ends."""
        duration_s = (length + fade) * self.beat_s
        sound = pad(pitches, duration_s, self.sample_rate_hz, self.rng, **shape)
        fade_s = fade * self.beat_s
        self.add(sound * envelope(len(sound), fade_s, fade_s, self.sample_rate_hz), beat, gain, 0.4)

    def duck(self, depth: float) -> None:
        """Pull everything played so far down on each beat, as a compressor keyed by the kick does."""
        phase = np.arange(len(self.dry)) / (self.beat_s * self.sample_rate_hz) % 1.0
        gain = 1 - depth * np.clip(phase * self.beat_s / 0.008, 0, 1) * np.exp(-5 * phase)
        self.dry *= gain.astype(np.float32)
        self.wet *= gain.astype(np.float32)

    def pitch(self, degree: int, chord: int = 0) -> int:
        """MIDI pitch of a scale degree (0 is the tonic) while the chord on degree ``chord`` sounds."""
        octave, step = divmod(degree, len(self.scale))
        sharpened = self.raise_leading and self.mode == "minor" and chord % 7 in (4, 6) and step == 6
        return self.tonic + 12 * octave + self.scale[step] + int(sharpened)

    def chord(self, degree: int, size: int = 3, low: int = 52, skip: int = 0) -> list[int]:
        """MIDI pitches of stacked thirds on a degree, in the octave from ``low``; ``skip=1`` omits it."""
        pitches = (self.pitch(degree + 2 * i, degree) for i in range(skip, size))
        return sorted(low + (pitch - low) % 12 for pitch in pitches)

    def bass(self, degree: int, low: int = 36, chord: int | None = None) -> int:
        """MIDI pitch of a scale degree in the octave above ``low``."""
        return low + (self.pitch(degree, degree if chord is None else chord) - low) % 12

    def motif(self, rhythm: Sequence[float]) -> Motif:
        """A melodic cell over a rhythm of lengths in beats (negative: a rest), contained within a sixth."""
        cell: Motif = []
        offset, height = 0.0, 0
        for length in rhythm:
            step = int(self.rng.choice([-2, -1, -1, -1, 1, 1, 1, 2]))
            if abs(height + step) > 3:
                step = -step
            if length > 0:
                height += step
                cell.append((offset, length, step))
            offset += abs(length)
        return cell

    def line(self, motif: Motif, chord: int, centre: int, snap: bool = True) -> Line:
        """A motif over a chord, from degree ``centre``; with ``snap``, notes on the beat are chord tones."""
        degree, notes = centre, []
        for i, (offset, length, step) in enumerate(motif):
            degree += step if i else 0
            if snap and (i == 0 or offset % 1 == 0):
                nearby = (degree, degree - 1, degree + 1)  # one of any three neighbours is in the triad
                degree = next(d for d in nearby if (d - chord) % 7 in (0, 2, 4))
            notes.append((offset, length, self.pitch(degree, chord)))
        return notes

    def finish(self, room_s: float, wet: float) -> Samples:
        """Add the room, tame the peaks, remove DC and rumble, and normalise; shape (samples,)."""
        room = signal.fftconvolve(self.wet, _room(room_s, self.sample_rate_hz))[: len(self.dry)]
        mix = self.dry + wet * room
        loudness = np.sqrt(np.mean(mix**2)) + 1e-9
        mix = np.tanh(mix / (4.5 * loudness))  # rounds only the tallest peaks, so records are equally loud
        highpass = signal.butter(2, 32, "highpass", fs=self.sample_rate_hz, output="sos")
        mix = signal.sosfilt(highpass, mix)
        mix *= envelope(len(mix), 0.004, 0.25, self.sample_rate_hz)
        return np.asarray(PEAK * mix / (np.max(np.abs(mix)) + 1e-9), dtype=np.float32)
