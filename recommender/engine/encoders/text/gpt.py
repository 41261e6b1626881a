"""Any Hugging Face causal model (GPT-2, Qwen, Llama...), pooled; see pooled and huggingface.

Each token has seen only those before it: "last" is the one that has seen the whole text, "mean" is steadier where the
model was not trained to give vectors.
"""

from dataclasses import dataclass

from recommender.engine.encoders.text.pooled import PooledConfig, PooledEncoder
from recommender.engine.errors import InvalidConfig


@dataclass(frozen=True)
class GptConfig(PooledConfig):
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pooling == "cls":
            raise InvalidConfig("A causal model's first token has seen nothing else; set pooling to mean or last.")


class GptEncoder(PooledEncoder):
    Config = GptConfig
