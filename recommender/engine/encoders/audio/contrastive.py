"""A small network that learns from the shop's own sounds, from nothing and without labels (SimCLR).

Learning shows it two random views of each spectrogram, in other voices, at other speeds, in other rooms, and asks which
belong together (see simclr and views). One of the views may be of another sound: of those in recordings that sound
otherwise where nothing is said, one that the cepstra find nearest, if each is among the other's nearest (`bridges`;
like NNCLR, Dwibedi et al. 2021, but across recordings). So it learns what stays when the speaker, the player and the
microphone change. Beside its vector stand the cepstra of mfcc, which tell where few sounds teach little. In both,
directions that change across bridges are held back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.sounds import Sound
from recommender.engine.data.vectors import unit
from recommender.engine.encoders import Arrays
from recommender.engine.encoders.audio import features
from recommender.engine.encoders.audio.bridges import background, bridges, steady
from recommender.engine.encoders.audio.crops import crops
from recommender.engine.encoders.audio.mfcc import MfccConfig, told
from recommender.engine.encoders.settings import check
from recommender.engine.encoders.simclr import SimclrConfig
from recommender.engine.errors import NoData
from recommender.engine.learning.onnx import Network
from recommender.engine.options import Options

PARTS = 3  # of time, each with features of its own
DEEPEST = 3  # blocks; after them as many frames are left as there are parts
READ = 0.1  # of a fit's progress, when reading ends
SHARES = (0.1, 0.97)  # when learning begins and ends
TELL_EVERY = 64  # sounds between two words about progress


@dataclass(frozen=True)
class ContrastiveConfig(SimclrConfig):
    steps: int = 400
    width: int = 16
    crop_s: float = 1.2
    """Longest piece that the network sees at once; longer sounds are the mean of several."""
    sample: int = 20_000
    """Crops learned from at most, drawn by chance; their number bounds memory, 6 KB each."""
    voice: float = 0.18
    """Most that the logarithm of a voice's size changes, which moves all its resonances."""
    bend: float = 0.04
    """Deviation of further bends of the bands' axis, in shares of half its length."""
    hurry: float = 0.1
    """Deviation of bends of time, in shares of half its length."""
    shift: float = 0.2
    """Most that each end of time is moved, in shares of half its length."""
    colour: float = 0.6
    """Deviation of a smooth filter, in bels: rooms and microphones."""
    swell: float = 0.3
    """Deviation of a course of loudness, in bels."""
    contrast: float = 0.3
    """Most that differences in loudness are scaled, either way."""
    mixing: float = 0.5
    """Chance that another sound is heard behind a view; 0 leaves out a floor of noise, too."""
    noise: float = 0.15
    """Deviation of noise at each place, in bels."""
    masks: float = 0.2
    """Longest stretch of bands, and of time, that is hidden."""
    bridging: float = 0.5
    """Chance that a second view is of another sound that says the same in another recording, where there is one."""
    spared: float = 0.05
    """Share of all sounds, those whose cepstra are nearest, that a sound need not be told from: they may say the
    same."""
    steadying: float = 0.5
    """How far directions are brought to the same strength by what changes across bridges, or, where there are too few,
    among all sounds: 0 leaves them, 1 makes them equal."""
    cepstra: float = 0.6
    """Share of the cepstra in the vector's square; 0 leaves them out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check("depth", self.depth, 1, DEEPEST, whole=True)
        check("crop_s", self.crop_s, 0.1, 30)
        check("sample", self.sample, 2, 10**6, whole=True)
        for name in ("voice", "bend", "hurry", "shift", "contrast", "masks"):
            check(name, getattr(self, name), 0, 0.9)
        for name in ("colour", "swell", "noise"):
            check(name, getattr(self, name), 0, 5)
        for name in ("mixing", "bridging", "spared", "steadying", "cepstra"):
            check(name, getattr(self, name), 0, 1)


class Contrastive:
    """See engine/encoders.Opened."""

    def __init__(self, arrays: Arrays, config: ContrastiveConfig) -> None:
        self.network, self.crop_s = Network(np.asarray(arrays["network"])), config.crop_s
        self.parts = [
            (seen, np.asarray(arrays[f"{name}_mean"]), np.asarray(arrays[f"{name}_directions"]), np.float32(share**0.5))
            for name, seen, share in (
                ("learned", self._learned, 1 - config.cepstra),
                ("cepstra", cepstra, config.cepstra),
            )
            if share > 0
        ]
        self.dimension = sum(directions.shape[1] for _, _, directions, _ in self.parts)

    def encode(self, inputs: Sequence[Sound]) -> NDArray[np.float32]:
        found = np.zeros((len(inputs), self.dimension), dtype=np.float32)
        for row, sound in enumerate(inputs):
            if not features.silent(sound):
                parts = [share * unit((seen(sound) - mean)[None] @ by)[0] for seen, mean, by, share in self.parts]
                found[row] = np.concatenate(parts)
        return unit(found)

    def _learned(self, sound: Sound) -> NDArray[np.float32]:
        return learned(self.network, crops(sound, self.crop_s))


class ContrastiveEncoder:
    modality: ClassVar[str] = "audio"
    Config = ContrastiveConfig

    @staticmethod
    def fit(inputs: Sequence[Sound], config: ContrastiveConfig, options: Options) -> Arrays:
        """`network` uint8, an ONNX graph from `crops` (B, 1, M, F) to vectors (B, P); of these, and of the cepstra,
        `_mean` (P,) and `_directions` (P, P).

        `inputs` are read one at a time. Raises NoData where fewer than two can be heard, NotFinite.
        """
        from recommender.engine.encoders.audio import learning

        heard = gathered(inputs, config, options)
        options.progress(READ, f"{len(heard.said)} sounds heard")
        across = heard.bridged() if config.bridging else []
        network = learning.learn(heard.crops, heard.by_crop(across), heard.by_likeness(across), config, options, SHARES)
        run = Network(network)
        starts = np.append(heard.starts, len(heard.crops))
        seen = [learned(run, heard.crops[start:end]) for start, end in pairwise(starts)]
        arrays: dict[str, NDArray[Any]] = {"network": network}
        for name, values, scale in (
            ("learned", np.stack(seen), np.ones(config.projection, dtype=np.float32)),
            ("cepstra", heard.said, heard.scale),
        ):
            mean, directions = steady(values * scale, across, config.steadying)
            arrays[f"{name}_mean"], arrays[f"{name}_directions"] = mean / scale, scale[:, None] * directions
        options.progress(1.0, f"learned from {len(heard.said)} sounds")
        return arrays

    @staticmethod
    def open(arrays: Arrays, config: ContrastiveConfig) -> Contrastive:
        return Contrastive(arrays, config)


@dataclass(frozen=True)
class Heard:
    """What is learned from: N sounds, and all their crops, one sound's after another's."""

    crops: NDArray[np.float32]
    """(C, M, F)."""
    starts: NDArray[np.int64]
    """(N,): each sound's first crop."""
    said: NDArray[np.float32]
    """(N, S): cepstra."""
    rooms: NDArray[np.float32]
    """(N, R): backgrounds."""

    def bridged(self) -> list[NDArray[np.int64]]:
        """For each sound those that say the same in other recordings; found twice, the second time by what stayed the
        same across the first."""
        said = self.said * self.scale
        first = bridges(said - said.mean(axis=0), self.rooms)
        mean, directions = steady(said, first)
        return bridges(np.asarray((said - mean) @ directions, dtype=np.float32), self.rooms)

    def by_likeness(self, across: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """(C, S), of length 1: what each crop's sound says, by what stays the same across bridges."""
        mean, directions = steady(self.said * self.scale, across)
        owners = np.repeat(np.arange(len(self.said)), np.diff(np.append(self.starts, len(self.crops))))
        said = np.asarray((self.said * self.scale - mean) @ directions, dtype=np.float32)
        return unit(said)[owners]

    @property
    def scale(self) -> NDArray[np.float32]:
        """(S,): as in `mfcc`, the root of how much each varies is taken out."""
        return np.asarray(1 / np.sqrt(np.maximum(self.said.std(axis=0), 1e-3)), dtype=np.float32)

    def by_crop(self, across: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        """The same for each crop; none for sounds of several crops, since which of them would it be?"""
        single = np.diff(np.append(self.starts, len(self.crops))) == 1
        found = [np.zeros(0, dtype=np.int64)] * len(self.crops)
        for row, others in enumerate(across):
            if single[row]:
                found[self.starts[row]] = self.starts[others[single[others]]]
        return found


def gathered(inputs: Sequence[Sound], config: ContrastiveConfig, options: Options) -> Heard:
    """Reads the sounds, in an order drawn by chance where there are too many, until `sample` crops are there."""
    rows = np.arange(len(inputs))
    if len(inputs) > config.sample:
        rows = np.sort(np.random.default_rng(options.seed).choice(len(inputs), config.sample, replace=False))
    pieces, starts, said, rooms, count = list[NDArray[np.float32]](), list[int](), [], [], 0
    for done, row in enumerate(rows):
        if done % TELL_EVERY == 0:
            options.progress(READ * done / len(rows), f"listening to sound {done + 1} of {len(rows)}")
        sound = inputs[int(row)]
        if features.silent(sound) or count >= config.sample:
            continue
        pieces.append(crops(sound, config.crop_s))
        starts.append(count)
        count += len(pieces[-1])
        said.append(cepstra(sound))
        rooms.append(background(sound))
    if len(pieces) < 2:
        raise NoData("It takes two sounds at least that can be heard.")
    return Heard(np.concatenate(pieces), np.array(starts), np.stack(said), np.stack(rooms))


def cepstra(sound: Sound) -> NDArray[np.float32]:
    """(S,): what `mfcc` tells of a sound, unscaled."""
    return told(sound, MfccConfig())


def learned(network: Network, pieces: NDArray[np.float32]) -> NDArray[np.float32]:
    """(P,): the mean of the network's vectors, each of length 1, over the crops (n, M, F) of one sound."""
    mean: NDArray[np.float32] = unit(network(crops=(pieces - pieces.mean(axis=2, keepdims=True))[:, None])).mean(axis=0)
    return mean
