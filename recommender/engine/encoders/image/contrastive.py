"""Networks that learn from the shop's own pictures, from nothing and without labels (SimCLR), helped by what can be
said of a picture without learning.

A shop's photos show one thing before some background. So each picture is first framed by its figure (see figures), and
described by the figure's outline and the edges in it (see looks). Then two small networks learn contrastively (see
simclr). The tower, which sees the frame, learns from pairs of random views. The head, which is given what tower and
descriptions say, brought down to main directions, learns from pairs of different pictures that are alike by that
(Dwibedi et al. 2021, "With a Little Help from My Friends"): what such pictures share comes to count more, and the rest
less. The vector is what the head is given, and what it says.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.vectors import unit
from recommender.engine.encoders import Arrays, Picture
from recommender.engine.encoders.image import looks
from recommender.engine.encoders.settings import check
from recommender.engine.encoders.simclr import SimclrConfig
from recommender.engine.errors import InvalidConfig, NoData
from recommender.engine.learning.onnx import Network
from recommender.engine.options import Options

Stored = NDArray[np.uint8]
"""Frames kept for learning: (N, looks.SEEN, looks.SEEN, 4)."""

LEARNED = (0.2, 0.9)  # of a fit's progress, what learning takes
DIRECTIONS_FROM = 4000  # pictures at most that main directions are found by
RIDGE = 1e-3  # of the mean variance, added to each direction's
CHANNELS = 4  # that the network sees: red, green, blue, and where the figure is
FEWEST_OF = 20  # pictures for each neighbour that may stand in: among a few, the nearest are not alike
ROWS = 512  # of cosines held at once, 40 MB at 20,000 pictures
SHARES = {"outline": 0.3, "coarse_outline": 0.3, "edges": 0.2, "coarse_edges": 0.2}
"""Of what is said without learning, in the vector's square."""


@dataclass(frozen=True)
class ContrastiveConfig(SimclrConfig):
    steps: int = 1000
    batch: int = 64
    width: int = 16
    size: int = 48
    """Pixels of a side of the frame that the network sees; a multiple of 8, up to 64."""
    figure: bool = True
    """Whether pictures show one thing each before some background, as a shop's photos do. Off, pictures are taken as a
    whole, as suits covers and prints."""
    sample: int = 20_000
    """Pictures learned from at most, drawn by chance; their number bounds memory, 16 KB each."""
    crop: float = 0.4
    """Least share of a frame's area that a view shows."""
    colour: float = 0.8
    """How much views differ in brightness, contrast, saturation and hue: 0 not at all, 1 as in the paper."""
    grey: float = 0.3
    """Chance that a view has no colours."""
    turn_degrees: float = 10.0
    """Most that a view is turned either way."""
    neighbours: int = 10
    """How many pictures that look alike may stand in for the second view, one of 20 known at most; 0: none."""
    neighbour_share: float = 0.7
    """How often they do."""
    dimension: int = 64
    """Main directions kept of each description."""
    whitening: float = 0.25
    """How far these are brought to the same strength: 0 leaves them, 1 makes them equal."""
    learned: float = 0.0
    """Share of what the tower sees, beside the descriptions, in the square of what the head is given; 0: no tower,
    which takes minutes to learn in place of seconds. It pays where pictures are many, or show no figure."""
    joined: float = 0.4
    """Share of what the head says in the vector's square; 0: no head."""
    hidden: int = 256
    """Width of the head's one layer."""
    rounds: int = 2
    """How often the head learns: after the first time, pictures are alike that are so by what it said."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check("size", self.size, 16, looks.SEEN, whole=True)
        if self.size % 8:
            raise InvalidConfig("size must be a multiple of 8.")
        check("sample", self.sample, 2, 10**6, whole=True)
        check("crop", self.crop, 0.01, 1)
        check("turn_degrees", self.turn_degrees, 0, 180)
        check("neighbours", self.neighbours, 0, 1000, whole=True)
        check("dimension", self.dimension, 2, 1024, whole=True)
        check("rounds", self.rounds, 1, 10, whole=True)
        check("hidden", self.hidden, 2, 4096, whole=True)
        for name in ("colour", "grey", "neighbour_share", "whitening", "learned", "joined"):
            check(name, getattr(self, name), 0, 1)


class Contrastive:
    """See engine/encoders.Opened."""

    def __init__(self, arrays: Arrays, config: ContrastiveConfig) -> None:
        self.figure, self.parts, self.head = config.figure, parts(arrays, config), Head.of(arrays, config)
        self.dimension = sum(part.directions.shape[1] for part in self.parts)
        self.dimension += len(self.head.outer) if self.head else 0

    def encode(self, inputs: Sequence[Picture]) -> NDArray[np.float32]:
        found = np.zeros((len(inputs), self.dimension), dtype=np.float32)
        for rows, frames in looks.framed(inputs, self.figure):
            given = vectors(frames, self.parts)
            found[rows] = self.head(given) if self.head else given
        return found


class ContrastiveEncoder:
    modality: ClassVar[str] = "image"
    Config = ContrastiveConfig

    @staticmethod
    def fit(inputs: Sequence[Picture], config: ContrastiveConfig, options: Options) -> Arrays:
        """Of each description, and of what the tower sees, `NAME_mean` (F,) and `NAME_directions` (F, D); `tower`
        uint8, an ONNX graph from `pictures` (B, 4, size, size) to features; and the head's `head_...`, see Head. No
        head where fewer than FEWEST_OF pictures are known, no tower where `learned` is 0.

        `inputs` are read one at a time, up to `config.sample` of them. Raises NoData where fewer than two say anything,
        NotFinite.
        """
        frames = gathered(inputs, config, options)
        arrays = described(frames, config, options)
        if config.learned > 0 or config.joined > 0:
            from recommender.engine.encoders.image import learning

            if config.learned > 0:
                nearest = neighbours(given(frames, arrays, config), config)
                arrays["tower"] = learning.tower(frames, nearest, config, options, LEARNED)
                _add_directions(arrays, "tower", Tower(arrays["tower"], config.size), frames, config)
            if config.joined > 0 and len(frames) >= FEWEST_OF:
                known = given(frames, arrays, config)
                alike, step = known, (1 - LEARNED[1]) / config.rounds
                arrays["head_share"] = np.array([config.joined], dtype=np.float32)
                for number in range(config.rounds):
                    shares = (LEARNED[1] + number * step, LEARNED[1] + (number + 1) * step)
                    arrays |= learning.head(known, neighbours(alike, config), config, options, shares)
                    head = Head.of(arrays, config)
                    alike = head(known) if head else known
        options.progress(1.0, f"learned from {len(frames)} pictures")
        return arrays

    @staticmethod
    def open(arrays: Arrays, config: ContrastiveConfig) -> Contrastive:
        return Contrastive(arrays, config)


@dataclass(frozen=True)
class Part:
    """One description's place in the vector."""

    features: Callable[[looks.Framed], NDArray[np.float32]]
    mean: NDArray[np.float32]
    directions: NDArray[np.float32]
    weight: float


def parts(arrays: Arrays, config: ContrastiveConfig) -> list[Part]:
    """What `arrays` have, weighed as the config says."""
    known: dict[str, tuple[Callable[[looks.Framed], NDArray[np.float32]], float]] = {
        name: (features, SHARES[name] * (1 - config.learned)) for name, features in looks.SAID.items()
    }
    if "tower" in arrays:
        known["tower"] = (Tower(arrays["tower"], config.size), config.learned)
    return [
        Part(features, np.asarray(arrays[f"{name}_mean"]), np.asarray(arrays[f"{name}_directions"]), share**0.5)
        for name, (features, share) in known.items()
        if f"{name}_mean" in arrays and share > 0
    ]


def vectors(frames: looks.Framed, parts: Sequence[Part]) -> NDArray[np.float32]:
    """Of frames, (B, D), of length 1."""
    found = []
    for part in parts:
        along = np.asarray((part.features(frames) - part.mean) @ part.directions, dtype=np.float32)
        found.append(np.float32(part.weight) * unit(along))
    return unit(np.concatenate(found, axis=1))


class Tower:
    """What the tower makes of frames, each seen as it is and mirrored: features (B, F)."""

    def __init__(self, network: NDArray[np.uint8], size: int) -> None:
        self.network, self.size = Network(np.asarray(network)), size

    def __call__(self, frames: looks.Framed) -> NDArray[np.float32]:
        seen = looks.shown(frames, self.size)
        mirrored = np.ascontiguousarray(seen[..., ::-1])
        return (self.network(pictures=seen) + self.network(pictures=mirrored)) / 2


@dataclass(frozen=True)
class Head:
    """outer relu(inner x + inner_bias) + outer_bias of what it is given, x (B, D), beside x itself."""

    inner: NDArray[np.float32]
    inner_bias: NDArray[np.float32]
    outer: NDArray[np.float32]
    outer_bias: NDArray[np.float32]
    share: float
    """Of what it says in the vector's square."""

    @classmethod
    def of(cls, arrays: Arrays, config: ContrastiveConfig) -> "Head | None":
        if "head_inner" not in arrays or not config.joined:
            return None
        names = ("inner", "inner_bias", "outer", "outer_bias")
        inner, inner_bias, outer, outer_bias = (np.asarray(arrays[f"head_{name}"]) for name in names)
        return cls(inner, inner_bias, outer, outer_bias, float(arrays["head_share"][0]))

    def __call__(self, given: NDArray[np.float32]) -> NDArray[np.float32]:
        found = np.maximum(given @ self.inner.T + self.inner_bias, 0) @ self.outer.T + self.outer_bias
        both = ((1 - self.share) ** 0.5 * given, self.share**0.5 * unit(found))
        return unit(np.concatenate(both, axis=1).astype(np.float32))


def gathered(inputs: Sequence[Picture], config: ContrastiveConfig, options: Options) -> Stored:
    """The frames of what is learned from. Raises NoData."""
    rows = np.arange(len(inputs))
    if len(inputs) > config.sample:
        rows = np.sort(np.random.default_rng(options.seed).choice(len(inputs), config.sample, replace=False))
    frames, kept = np.empty((len(rows), looks.SEEN, looks.SEEN, CHANNELS), dtype=np.uint8), 0
    for start in range(0, len(rows), looks.BATCH):
        options.progress(LEARNED[0] * start / len(rows), f"looking at picture {start + 1} of {len(rows)}")
        some = [inputs[int(row)] for row in rows[start : start + looks.BATCH]]
        for _, batch in looks.framed(some, config.figure):
            frames[kept : kept + len(batch)] = np.round(batch * 255)
            kept += len(batch)
    if kept < 2:
        raise NoData("It takes two pictures at least that show something.")
    return frames[:kept]


def described(frames: Stored, config: ContrastiveConfig, options: Options) -> dict[str, NDArray[Any]]:
    """The main directions of what can be said of frames without learning."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, features in looks.SAID.items():
        options.progress(LEARNED[0], f"{name.replace('_', ' ')} of {len(frames)} pictures")
        _add_directions(arrays, name, features, frames, config)
    return arrays


def given(frames: Stored, arrays: Arrays, config: ContrastiveConfig) -> NDArray[np.float32]:
    """What a head is given of frames, (N, D)."""
    known = parts(arrays, config)
    return np.concatenate([vectors(batch, known) for batch in batches(frames)])


def neighbours(vectors: NDArray[np.float32], config: ContrastiveConfig) -> NDArray[np.int64]:
    """The rows (N, K) of the K most alike each, by cosine; K = `neighbours`, or fewer where few are known."""
    count = min(config.neighbours, len(vectors) // FEWEST_OF)
    nearest = np.empty((len(vectors), count), dtype=np.int64)
    for start in range(0, len(vectors), ROWS):
        cosines = vectors[start : start + ROWS] @ vectors.T
        cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = -np.inf
        nearest[start : start + ROWS] = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    return nearest


def batches(frames: Stored) -> Iterator[looks.Framed]:
    for start in range(0, len(frames), looks.BATCH):
        yield frames[start : start + looks.BATCH].astype(np.float32) / np.float32(255)


def main_directions(
    features: NDArray[np.float32], config: ContrastiveConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Their mean (F,), and the up to `dimension` directions (F, D) in which they differ most, divided by the spread
    there to the power of `whitening`."""
    values = features.astype(np.float64)
    mean = values.mean(axis=0)
    values -= mean
    if len(values) < values.shape[1]:  # the inner products have the same strengths, and are fewer
        variances, places = np.linalg.eigh(values @ values.T / len(values))
        directions = values.T @ (places / np.sqrt(np.maximum(variances * len(values), 1e-12)))
    else:
        variances, directions = np.linalg.eigh(values.T @ values / len(values))
    kept = min(config.dimension, len(variances), max(2, len(values) - 1))
    variances, directions = np.maximum(variances[::-1][:kept], 0), directions[:, ::-1][:, :kept]
    spread = np.sqrt(variances + RIDGE * variances.mean() + 1e-12)
    scaled = directions / spread**config.whitening
    return mean.astype(np.float32), np.ascontiguousarray(scaled, dtype=np.float32)


def _add_directions(
    arrays: dict[str, NDArray[Any]],
    name: str,
    features: Callable[[looks.Framed], NDArray[np.float32]],
    frames: Stored,
    config: ContrastiveConfig,
) -> None:
    some = frames[:: -(-len(frames) // DIRECTIONS_FROM)]
    found = np.concatenate([features(batch) for batch in batches(some)])
    arrays[f"{name}_mean"], arrays[f"{name}_directions"] = main_directions(found, config)
