"""Hugging Face models that see: how they want a picture prepared, with Pillow and NumPy, and the graph that sees it.

What resnet, vit and clip share; see huggingface. A picture is prepared as the model's preprocessor_config.json says, to
the same numbers that transformers makes of it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recommender.engine.data import pictures
from recommender.engine.data.vectors import unit
from recommender.engine.encoders import Arrays, Picture, huggingface
from recommender.engine.errors import InvalidConfig
from recommender.engine.learning.onnx import Network
from recommender.engine.options import Options

if TYPE_CHECKING:
    from torch import Tensor, nn

BATCH = 16  # pictures seen at once: 10 MB at 224 pixels, and a few times that within the network
SIDES = (8, 1024)  # pixels that a model may ask for
SHARE = "crop_pct"  # of the resized picture that is seen; the setting of ConvNeXt and its kin, ResNet among them


@dataclass(frozen=True)
class Preparation:
    """What is done to a picture before a model sees it."""

    resized: tuple[int, ...]
    """(short,): the shorter side becomes this long; (height, width): both, whatever the shape was; (): nothing."""
    seen: tuple[int, int]
    """Height and width of the middle that is cut out."""
    resample: int
    """Pillow's filter."""
    scale: float
    """What levels from 0 to 255 are multiplied by."""
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]

    @classmethod
    def of(cls, name: str) -> "Preparation":
        """As the model's folder says. Raises ModelMissing, InvalidConfig."""
        told = huggingface.processor("AutoImageProcessor", name).to_dict()
        resized, seen = _sizes(told)
        if not seen or not all(SIDES[0] <= side <= SIDES[1] for side in (*resized, *seen)):
            raise InvalidConfig(f"{name} does not say what size of picture it sees, or one beyond {SIDES} pixels.")
        normal = told.get("do_normalize", True)
        return cls(
            resized,
            (seen[0], seen[1]),
            int(told.get("resample", Image.Resampling.BILINEAR)),
            float(told.get("rescale_factor", 1 / 255)) if told.get("do_rescale", True) else 1.0,
            _three(told["image_mean"]) if normal else (0.0, 0.0, 0.0),
            _three(told["image_std"]) if normal else (1.0, 1.0, 1.0),
        )

    def __call__(self, picture: Picture) -> NDArray[np.float32]:
        """float32 (3, height, width)."""
        image = Image.fromarray(picture)
        if self.resized:
            size = self.resized if len(self.resized) == 2 else _by_shorter(image, self.resized[0])
            image = image.resize((size[1], size[0]), Image.Resampling(self.resample))
        height, width = self.seen
        top, left = (image.height - height) // 2, (image.width - width) // 2
        image = image.crop((left, top, left + width, top + height))  # black where it is smaller
        levels = np.asarray(image, dtype=np.float32) * np.float32(self.scale)
        mean, deviation = (np.array(three, dtype=np.float32) for three in (self.mean, self.deviation))
        found = (levels - mean) / deviation
        return np.ascontiguousarray(found.transpose(2, 0, 1), dtype=np.float32)

    def stored(self) -> NDArray[np.uint8]:
        return np.frombuffer(json.dumps(asdict(self)).encode(), dtype=np.uint8)

    @classmethod
    def restored(cls, stored: NDArray[np.uint8]) -> "Preparation":
        told: dict[str, Any] = json.loads(stored.tobytes())
        values: dict[str, Any] = {name: tuple(it) if isinstance(it, list) else it for name, it in told.items()}
        return cls(**values)


class Pretrained:
    """See engine/encoders.Opened."""

    def __init__(self, arrays: Arrays) -> None:
        self.network = Network(np.asarray(arrays["graph"]))
        self.prepared = Preparation.restored(np.asarray(arrays["preparation"]))
        self.dimension: int = self.network.session.get_outputs()[0].shape[1]

    def encode(self, inputs: Sequence[Picture]) -> NDArray[np.float32]:
        found = np.zeros((len(inputs), self.dimension), dtype=np.float32)
        for start in range(0, len(inputs), BATCH):
            some = [(row, inputs[row]) for row in range(start, min(start + BATCH, len(inputs)))]
            shown = {row: self.prepared(picture) for row, picture in some if not pictures.flat(picture)}
            if shown:
                found[list(shown)] = self.network(pictures=np.stack(list(shown.values())))
        return unit(found)


def fit(kind: str, name: str, options: Options, seeing: Callable[[Any, "Tensor"], "Tensor"]) -> Arrays:
    """`graph` and `preparation` uint8. `kind` is the model's class in transformers; `seeing` takes the model and
    pictures (B, 3, height, width), and gives vectors (B, D). Raises ModelMissing, InvalidConfig, TooLarge, NotFinite.
    """
    options.progress(0.0, f"reading {name}")
    prepared = Preparation.of(name)
    model = huggingface.load(kind, name)
    options.progress(0.5, f"exporting {name}")
    return {"graph": _graph(model, seeing, prepared.seen, name), "preparation": prepared.stored()}


def _graph(
    model: "nn.Module", seeing: Callable[[Any, "Tensor"], "Tensor"], seen: tuple[int, int], name: str
) -> NDArray[np.uint8]:
    import torch
    from torch import Tensor, nn

    class Seeing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pictures: Tensor) -> Tensor:
            return seeing(self.model, pictures)

    example = torch.linspace(-1, 1, 2 * 3 * seen[0] * seen[1]).reshape(2, 3, *seen)
    try:
        with torch.no_grad():
            Seeing()(example)
    except (ValueError, RuntimeError) as error:  # such as a size that the model was not made for
        raise InvalidConfig(f"{name} cannot see pictures of {seen[0]} x {seen[1]} pixels: {error}") from error
    return huggingface.export(Seeing(), {"pictures": example}, {"pictures": ("B", None, None, None)})


def _sizes(told: dict[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How a picture is resized and what is then cut out; the latter () where nothing says."""
    size, share = _size(told.get("size")), told.get(SHARE)
    if not told.get("do_resize", True):
        size = ()
    if share and len(size) == 1:
        if size[0] >= 384:  # seen whole
            return (size[0], size[0]), (size[0], size[0])
        return (int(size[0] / share),), (size[0], size[0])
    if told.get("do_center_crop"):
        cut = _size(told.get("crop_size"))
        return size, cut * 2 if len(cut) == 1 else cut
    return size, size * 2 if len(size) == 1 else size


def _size(told: Any) -> tuple[int, ...]:
    if isinstance(told, dict):
        if "shortest_edge" in told:
            return (int(told["shortest_edge"]),)
        if "height" in told and "width" in told:
            return int(told["height"]), int(told["width"])
    return (int(told),) if isinstance(told, int) else ()


def _by_shorter(image: Image.Image, side: int) -> tuple[int, int]:
    """Height and width."""
    if image.width <= image.height:
        return int(side * image.height / image.width), side
    return side, int(side * image.width / image.height)


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)
