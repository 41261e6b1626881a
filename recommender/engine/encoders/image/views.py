"""Random views of pictures, in torch, a whole batch at a time: what SimCLR learns to see through."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

ASPECT = 4 / 3  # a crop is wider or higher by at most this factor
GREY_SHARES = (0.299, 0.587, 0.114)  # of red, green, blue, ITU-R BT.601


@dataclass(frozen=True)
class Distortion:
    """How far views may differ from the picture and so from each other."""

    crop: float
    """Least share of the picture's area that is seen."""
    colour: float
    """Strength of changes in brightness, contrast, saturation and hue: 0 none, 1 the paper's."""
    grey: float
    """Chance of a view without colours."""
    turn_degrees: float
    """Most that a view is turned either way."""


def views(pictures: Tensor, size: int, distortion: Distortion) -> Tensor:
    """A random view of each of `pictures` uint8 (B, 4, height, width), red, green, blue and where the figure is:
    float32 (B, 4, size, size) from 0 to 1.

    A random part, mirrored or not, turned a little, in other colours (Chen et al. 2020, appendix A, without its blur).
    """
    seen = F.grid_sample(
        pictures.float() / 255, _places(pictures, size, distortion), padding_mode="reflection", align_corners=False
    )
    return torch.cat((_recoloured(seen[:, :3], distortion), seen[:, 3:]), dim=1)


def _places(pictures: Tensor, size: int, distortion: Distortion) -> Tensor:
    count, device = len(pictures), pictures.device

    def draw(low: float, high: float) -> Tensor:
        return torch.empty(count, device=device).uniform_(low, high)

    side = draw(distortion.crop, 1).sqrt()
    aspect = torch.exp(draw(-1, 1) * torch.tensor(ASPECT, device=device).log() / 2)
    wide, high = (side * aspect).clamp(max=1), (side / aspect).clamp(max=1)
    right, down = (1 - wide) * draw(-1, 1), (1 - high) * draw(-1, 1)
    mirror = torch.where(draw(0, 1) < 0.5, -1.0, 1.0)
    turn = torch.deg2rad(draw(-1, 1) * distortion.turn_degrees)
    sine, cosine = turn.sin(), turn.cos()
    matrix = torch.stack(
        (
            torch.stack((mirror * wide * cosine, -wide * sine, right), dim=1),
            torch.stack((mirror * high * sine, high * cosine, down), dim=1),
        ),
        dim=1,
    )
    return F.affine_grid(matrix, [*pictures.shape[:2], size, size], align_corners=False)


def _recoloured(seen: Tensor, distortion: Distortion) -> Tensor:
    count, device = len(seen), seen.device
    weights = torch.tensor(GREY_SHARES, device=device).reshape(1, 3, 1, 1)

    def draw(low: float, high: float) -> Tensor:
        return torch.empty(count, 1, 1, 1, device=device).uniform_(low, high)

    strength = distortion.colour
    seen = seen * draw(1 - 0.8 * strength, 1 + 0.8 * strength)
    middle = (seen * weights).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
    seen = middle + (seen - middle) * draw(1 - 0.8 * strength, 1 + 0.8 * strength)
    grey = (seen * weights).sum(dim=1, keepdim=True)
    saturation = torch.where(draw(0, 1) < distortion.grey, 0.0, draw(1 - 0.8 * strength, 1 + 0.8 * strength))
    # Hue: colours are turned around the axis of greys.
    x, y = seen[:, :1] - grey, seen[:, 2:] - grey
    turn = draw(-1, 1) * strength * torch.pi * 0.4
    red, blue = turn.cos() * x - turn.sin() * y, turn.sin() * x + turn.cos() * y
    green = -(weights[:, :1] * red + weights[:, 2:] * blue) / weights[:, 1:2]
    return (grey + saturation * torch.cat((red, green, blue), dim=1)).clamp(0, 1)
