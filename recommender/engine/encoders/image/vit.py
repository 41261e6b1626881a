"""Any Hugging Face transformer over patches of a picture (ViT, DeiT, DINO...), pooled; see pretrained.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recommender.engine.encoders import Arrays, Picture
from recommender.engine.encoders.image import pretrained
from recommender.engine.encoders.settings import one_of
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options

if TYPE_CHECKING:
    from torch import Tensor

POOLINGS = ("cls", "mean")


@dataclass(frozen=True)
class VitConfig:
    model: str = ""
    """A folder that holds the model, or the hub id of one that is in Hugging Face's cache on this machine."""
    pooling: str = "cls"
    """Whose vector is the picture's: "cls", the first one's, which belongs to no patch, or the "mean" of all."""

    def __post_init__(self) -> None:
        one_of("pooling", self.pooling, POOLINGS)


class VitEncoder:
    modality: ClassVar[str] = "image"
    Config = VitConfig

    @staticmethod
    def fit(inputs: Sequence[Picture], config: VitConfig, options: Options) -> Arrays:
        """See pretrained.fit. Learns nothing from the inputs."""

        def seeing(model: Any, pictures: "Tensor") -> "Tensor":
            states: Tensor = model(pictures).last_hidden_state
            if states.dim() != 3:
                raise InvalidConfig(f"{config.model} is no transformer; resnet may take it.")
            return states[:, 0] if config.pooling == "cls" else states.mean(dim=1)

        return pretrained.fit("AutoModel", config.model, options, seeing)

    @staticmethod
    def open(arrays: Arrays, config: VitConfig) -> pretrained.Pretrained:
        return pretrained.Pretrained(arrays)
