"""What may differ between two sounds that say the same: views of spectrograms for `contrastive`, in torch.

All draw from torch's generator, a whole batch at once. B batch, M bands, F frames; spectrograms are in bels (tenths: 10
dB), as `crops` makes them.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from recommender.engine.encoders.audio.crops import BANDS, band_at, hertz_of

GAP = 2.0  # bels between the quietest and the loudest that a background or a floor of noise may have


@dataclass(frozen=True)
class Distortion:
    """How much views differ; each is a deviation or the most that there may be, and 0 turns it off."""

    voice: float
    """Most that the logarithm of a vocal tract's length, which scales all resonances, changes either way."""
    bend: float
    """Deviation of a smooth bend of the bands' axis, in shares of half its length."""
    hurry: float
    """Deviation of a smooth bend of time, in shares of half its length."""
    shift: float
    """Most that either end of time moves, in shares of half its length: shifts, crops and stretches."""
    colour: float
    """Deviation of a smooth filter, in bels: rooms, microphones."""
    swell: float
    """Deviation of a smooth course of loudness, in bels."""
    contrast: float
    """Most that differences in loudness are scaled, either way."""
    mixing: float
    """Chance that another sound of the batch is heard behind this one, one to three bels below."""
    noise: float
    """Deviation of what is added to each place, in bels."""
    masks: float
    """Longest of two stretches of bands and two of time that are hidden, in shares of all."""


def views(crops: Tensor, by: Distortion) -> Tensor:
    """Of spectrograms (B, 1, M, F), one random view each, centred."""
    found = _warped(crops, by)
    count, _, bands, frames = found.shape
    found = found + _smooth(found, 5, bands, by.colour)[:, None, :, None]
    found = found + _smooth(found, 5, frames, by.swell)[:, None, None, :]
    found = found * (1 + _evenly(found, count, 1, 1, 1) * by.contrast)
    if by.mixing:
        other = found[torch.randperm(count, device=found.device)] - 1 - GAP * _chance(found, count, 1, 1, 1)
        both = torch.logaddexp(found * np.log(10), other * np.log(10)) / np.log(10)
        found = torch.where(_chance(found, count, 1, 1, 1) < by.mixing, both, found)
        loudest = found.amax(dim=(1, 2, 3), keepdim=True)
        found = torch.maximum(found, loudest - 3 - GAP * _chance(found, count, 1, 1, 1))
    found = centred(found + torch.randn_like(found) * by.noise)
    for axis in (2, 3, 2, 3):
        found = _masked(found, axis, by.masks)
    return found


def centred(crops: Tensor) -> Tensor:
    """Each band (B, 1, M, F) without its mean over time: what a room, a microphone and a loudness add."""
    return crops - crops.mean(dim=3, keepdim=True)


def _warped(crops: Tensor, by: Distortion) -> Tensor:
    """Other resonances, other speed."""
    count, _, bands, frames = crops.shape
    hertz = torch.as_tensor(hertz_of(np.arange(BANDS)), device=crops.device, dtype=crops.dtype)
    voices = torch.exp(_evenly(crops, count, 1) * by.voice)
    heights = band_at(hertz[None, :] * voices) / (bands - 1) * 2 - 1 + _smooth(crops, 4, bands, by.bend)
    start, end = -1 + _evenly(crops, count, 1) * by.shift, 1 + _evenly(crops, count, 1) * by.shift
    course = torch.linspace(0, 1, frames, device=crops.device)[None, :]
    times = start + (end - start) * course + _smooth(crops, 5, frames, by.hurry)
    grid = torch.stack(
        (times[:, None, :].expand(count, bands, frames), heights[:, :, None].expand(count, bands, frames)), dim=3
    )
    return nnf.grid_sample(crops, grid, padding_mode="border", align_corners=True)


def _masked(crops: Tensor, axis: int, most: float) -> Tensor:
    """A stretch of an axis is hidden (SpecAugment, Park et al. 2019)."""
    count, size = len(crops), crops.shape[axis]
    length = _chance(crops, count, 1) * most * size
    start = _chance(crops, count, 1) * (size - length)
    places = torch.arange(size, device=crops.device)[None, :]
    hidden = (places >= start) & (places < start + length)
    return crops.masked_fill(hidden[:, None, :, None] if axis == 2 else hidden[:, None, None, :], 0.0)


def _smooth(like: Tensor, knots: int, length: int, deviation: float) -> Tensor:
    """(B, length): random values at `knots` places, joined by straight lines."""
    drawn = torch.randn(len(like), 1, knots, device=like.device, dtype=like.dtype) * deviation
    return nnf.interpolate(drawn, size=length, mode="linear", align_corners=True)[:, 0]


def _chance(like: Tensor, *shape: int) -> Tensor:
    return torch.rand(shape, device=like.device, dtype=like.dtype)


def _evenly(like: Tensor, *shape: int) -> Tensor:
    """From -1 to 1."""
    return _chance(like, *shape) * 2 - 1
