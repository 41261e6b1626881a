"""Encoders: what an item says, shows or sounds like, as a vector.

An encoder is a class without state, like a trainer. `fit` runs in a worker, may import anything, and gives arrays: what
it learned from the inputs, or a ready model turned into an ONNX graph. `open` makes of them what answers anywhere, in a
web process too: with NumPy, tokenizers and ONNX Runtime alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import InvalidConfig, UnknownName
from recommender.engine.loading import load
from recommender.engine.options import Options

ENCODERS = {
    "text": {
        "bert": "recommender.engine.encoders.text.bert.BertEncoder",
        "endpoint": "recommender.engine.encoders.text.endpoint.EndpointEncoder",
        "glove": "recommender.engine.encoders.text.glove.GloveEncoder",
        "gpt": "recommender.engine.encoders.text.gpt.GptEncoder",
        "hashing": "recommender.engine.encoders.text.hashing.HashingEncoder",
        "minilm": "recommender.engine.encoders.text.minilm.MinilmEncoder",
        "word2vec": "recommender.engine.encoders.text.word2vec.Word2vecEncoder",
    },
    "image": {
        "clip": "recommender.engine.encoders.image.clip.ClipEncoder",
        "contrastive": "recommender.engine.encoders.image.contrastive.ContrastiveEncoder",
        "resnet": "recommender.engine.encoders.image.resnet.ResnetEncoder",
        "vit": "recommender.engine.encoders.image.vit.VitEncoder",
    },
    "audio": {
        "contrastive": "recommender.engine.encoders.audio.contrastive.ContrastiveEncoder",
        "mfcc": "recommender.engine.encoders.audio.mfcc.MfccEncoder",
        "spectrogram": "recommender.engine.encoders.audio.spectrogram.SpectrogramEncoder",
        "wav2vec": "recommender.engine.encoders.audio.wav2vec.Wav2vecEncoder",
    },
}
"""By modality and name: each is imported on first use."""

Arrays = Mapping[str, NDArray[Any]]
Text = str
Picture = NDArray[np.uint8]
"""(height, width, 3), red, green, blue; see data/pictures."""
Sound = NDArray[np.float32]
"""(samples,), one channel at data/sounds.RATE, from -1 to 1."""


class Opened(Protocol):
    """What encodes. Thread-safe; nothing in it changes."""

    dimension: int
    """D."""

    def encode(self, inputs: Sequence[Any]) -> NDArray[np.float32]:
        """(B, D): rows of length 1, or 0 where an input says nothing (an empty text, one grey, silence).

        Each input's vector depends on that input alone. Raises what `fit` may raise about one input: never; what can be
        decoded can be encoded.
        """


class Encoder(Protocol):
    modality: ClassVar[str]
    Config: type[Any]

    @staticmethod
    def fit(inputs: Sequence[Any], config: Any, options: Options) -> Arrays:
        """What `open` needs; `inputs` are the catalogue's, for those that learn from them.

        The same inputs, config and seed give the same bytes. Raises NoData, ModelMissing, InvalidConfig, NotFinite, and
        whatever `options.progress` raises.
        """

    @staticmethod
    def open(arrays: Arrays, config: Any) -> Opened:
        """Ready to encode; `arrays` may be memory-mapped and read-only."""


def encoder(modality: str, name: str) -> type[Encoder]:
    """The encoder registered under `name` for a modality. Raises UnknownName."""
    if modality not in ENCODERS:
        raise UnknownName(f"{modality!r} is none of: {', '.join(ENCODERS)}.")
    kind: type[Encoder] = load(ENCODERS[modality], name)
    return kind


def make_config(modality: str, name: str, values: Mapping[str, Any]) -> Any:
    """The named encoder's config, frozen and checked. Raises UnknownName, InvalidConfig."""
    kind = encoder(modality, name).Config
    known = {field.name for field in fields(kind)}
    if strange := sorted(set(values) - known):
        raise InvalidConfig(f"{name} has no setting {', '.join(strange)}; it has {', '.join(sorted(known)) or 'none'}.")
    try:
        return kind(**values)
    except TypeError as error:
        raise InvalidConfig(f"{name}: {error}.") from error
