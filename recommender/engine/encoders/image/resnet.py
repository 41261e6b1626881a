"""Any Hugging Face model of convolutions (ResNet, ConvNeXt, RegNet...): the mean over all places; see pretrained.

He et al. 2016, "Deep Residual Learning for Image Recognition".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recommender.engine.encoders import Arrays, Picture
from recommender.engine.encoders.image import pretrained
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ResnetConfig:
    model: str = ""
    """A folder that holds the model, or the hub id of one that is in Hugging Face's cache on this machine."""


class ResnetEncoder:
    modality: ClassVar[str] = "image"
    Config = ResnetConfig

    @staticmethod
    def fit(inputs: Sequence[Picture], config: ResnetConfig, options: Options) -> Arrays:
        """See pretrained.fit. Learns nothing from the inputs."""

        def seeing(model: Any, pictures: "Tensor") -> "Tensor":
            maps: Tensor = model(pictures).last_hidden_state
            if maps.dim() != 4:
                raise InvalidConfig(f"{config.model} does not work by convolutions; vit may take it.")
            return maps.mean(dim=(2, 3))

        return pretrained.fit("AutoModel", config.model, options, seeing)

    @staticmethod
    def open(arrays: Arrays, config: ResnetConfig) -> pretrained.Pretrained:
        return pretrained.Pretrained(arrays)
