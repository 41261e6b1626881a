"""Any Hugging Face model's last hidden states, pooled to one vector per text: what bert and gpt share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from recommender.engine.encoders import Arrays, Opened, huggingface
from recommender.engine.encoders.settings import check, one_of
from recommender.engine.encoders.text.tokens import TokenGraph
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options

if TYPE_CHECKING:
    from torch import nn

POOLINGS = ("mean", "cls", "last")


@dataclass(frozen=True)
class PooledConfig:
    model: str = ""
    """A folder that holds the model, or the hub id of one that is in Hugging Face's cache on this machine."""
    pooling: str = "mean"
    """Which of the tokens' vectors make the text's: "mean" of all, "cls", the first one's, or the "last" one's."""
    length: int = 128
    """Tokens of a text that are looked at, the first."""

    def __post_init__(self) -> None:
        one_of("pooling", self.pooling, POOLINGS)
        check("length", self.length, 4, 32_768, whole=True)


class PooledEncoder:
    modality: ClassVar[str] = "text"
    Config = PooledConfig

    @staticmethod
    def fit(inputs: Sequence[str], config: PooledConfig, options: Options) -> Arrays:
        """`graph` and `tokenizer` uint8. Learns nothing from the inputs. Raises ModelMissing, InvalidConfig, TooLarge,
        NotFinite.
        """
        options.progress(0.0, f"reading {config.model}")
        tokenizer, longest = huggingface.tokenizer(config.model)
        model = huggingface.load("AutoModel", config.model)
        longest = min(longest, getattr(model.config, "max_position_embeddings", None) or longest)
        if config.length > longest:
            raise InvalidConfig(f"length is {config.length}, and {config.model} takes {longest} tokens at most.")
        options.progress(0.5, f"exporting {config.model}")
        return {"graph": _graph(model, config.pooling), "tokenizer": tokenizer}

    @staticmethod
    def open(arrays: Arrays, config: PooledConfig) -> Opened:
        return TokenGraph(arrays["graph"], arrays["tokenizer"], config.length)


def _graph(model: "nn.Module", pooling: str) -> NDArray[np.uint8]:
    import torch
    from torch import Tensor, nn

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
            states: Tensor = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
            if pooling == "cls":
                return states[:, 0]
            lengths = mask.sum(dim=1, keepdim=True)
            if pooling == "last":
                places = (lengths - 1).unsqueeze(-1).expand(-1, -1, states.shape[-1])
                return states.gather(1, places)[:, 0]
            return (states * mask.unsqueeze(-1)).sum(dim=1) / lengths

    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    return huggingface.export(
        Pooled(), {"ids": torch.ones_like(mask), "mask": mask}, {"ids": ("B", "L"), "mask": ("B", "L")}
    )
