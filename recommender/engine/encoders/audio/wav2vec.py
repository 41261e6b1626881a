"""Any Hugging Face model of speech that takes the samples themselves (Wav2Vec2, HuBERT...), pooled; see huggingface.

Baevski et al. 2020, "wav2vec 2.0". A sound's vector is the mean of the model's states over time; of a long one, over
pieces too. Each sound runs alone and unpadded: some of these models hear padding, whatever the mask says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.sounds import RATE, Sound
from recommender.engine.data.vectors import unit
from recommender.engine.encoders import Arrays, huggingface
from recommender.engine.encoders.audio import features
from recommender.engine.encoders.settings import check
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options

if TYPE_CHECKING:
    from torch import nn

SHORTEST = RATE // 10  # samples; shorter sounds are filled up with silence, since these models lose the first 25 ms
EXAMPLE = RATE  # samples of what is traced


@dataclass(frozen=True)
class Wav2vecConfig:
    model: str = ""
    """A folder that holds the model, or the hub id of one that is in Hugging Face's cache on this machine."""
    layer: int = -1
    """Whose states are taken: 0 the first layer's input, -1 the last one's output. Those in the middle know more of
    words and less of what the model was trained to guess."""
    piece_s: float = 10.0
    """Seconds that the model hears at once; memory grows with its square."""

    def __post_init__(self) -> None:
        check("layer", self.layer, -100, 100, whole=True)
        check("piece_s", self.piece_s, 0.5, 60)


class Wav2vec:
    def __init__(self, arrays: Arrays, config: Wav2vecConfig) -> None:
        from recommender.engine.learning.onnx import Network

        self.network = Network(np.asarray(arrays["graph"]))
        self.normalized = bool(arrays["normalized"][0])
        self.piece = round(config.piece_s * RATE)
        self.dimension: int = self.network.session.get_outputs()[0].shape[1]

    def encode(self, inputs: Sequence[Sound]) -> NDArray[np.float32]:
        found = np.zeros((len(inputs), self.dimension), dtype=np.float32)
        for row, sound in enumerate(inputs):
            if not features.silent(sound):
                found[row] = self._mean(np.asarray(sound, dtype=np.float32))
        return unit(found)

    def _mean(self, sound: Sound) -> NDArray[np.float32]:
        """(D,): the pieces' vectors by how long each is."""
        if self.normalized:
            sound = (sound - sound.mean()) / np.sqrt(sound.var() + np.float32(1e-7))
        count = -(-len(sound) // self.piece)
        pieces = [np.pad(piece, (0, max(0, SHORTEST - len(piece)))) for piece in np.array_split(sound, count)]
        vectors = np.concatenate([self.network(samples=piece[None]) for piece in pieces])
        return np.average(vectors, axis=0, weights=[len(piece) for piece in pieces]).astype(np.float32)


class Wav2vecEncoder:
    modality: ClassVar[str] = "audio"
    Config = Wav2vecConfig

    @staticmethod
    def fit(inputs: Sequence[Sound], config: Wav2vecConfig, options: Options) -> Arrays:
        """`graph` uint8, and `normalized` bool (1,): whether the model wants samples of mean 0 and deviation 1. Learns
        nothing from the inputs. Raises ModelMissing, InvalidConfig, TooLarge, NotFinite.
        """
        options.progress(0.0, f"reading {config.model}")
        model = huggingface.load("AutoModel", config.model, optional=r"masked_spec_embed")
        prepared = huggingface.processor("AutoFeatureExtractor", config.model)
        if prepared.sampling_rate != RATE:
            raise InvalidConfig(f"{config.model} hears {prepared.sampling_rate} samples a second, and not {RATE}.")
        layers = int(getattr(model.config, "num_hidden_layers", 0))
        if not -layers - 1 <= config.layer <= layers:
            raise InvalidConfig(f"layer is {config.layer}, and {config.model} has {layers}.")
        options.progress(0.5, f"exporting {config.model}")
        return {"graph": _graph(model, config.layer), "normalized": np.array([bool(prepared.do_normalize)])}

    @staticmethod
    def open(arrays: Arrays, config: Wav2vecConfig) -> Wav2vec:
        return Wav2vec(arrays, config)


def _graph(model: "nn.Module", layer: int) -> NDArray[np.uint8]:
    import torch
    from torch import Tensor, nn

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, samples: Tensor) -> Tensor:
            told: Any = self.model(samples, output_hidden_states=True)
            states: Tensor = told.hidden_states[layer]
            return states.mean(dim=1)

    example = torch.sin(torch.arange(EXAMPLE) / 10)[None]
    return huggingface.export(Pooled(), {"samples": example}, {"samples": ("B", "T")})
