"""What CLIP sees: the image half of a Hugging Face CLIP model; see pretrained.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recommender.engine.encoders import Arrays, Picture
from recommender.engine.encoders.image import pretrained
from recommender.engine.options import Options

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ClipConfig:
    model: str = ""
    """A folder that holds the model, or the hub id of one that is in Hugging Face's cache on this machine."""


class ClipEncoder:
    modality: ClassVar[str] = "image"
    Config = ClipConfig

    @staticmethod
    def fit(inputs: Sequence[Picture], config: ClipConfig, options: Options) -> Arrays:
        """See pretrained.fit. Learns nothing from the inputs."""

        def seeing(model: Any, pictures: "Tensor") -> "Tensor":
            found: Tensor = model.visual_projection(model.vision_model(pictures).pooler_output)
            return found

        return pretrained.fit("CLIPModel", config.model, options, seeing)

    @staticmethod
    def open(arrays: Arrays, config: ClipConfig) -> pretrained.Pretrained:
        return pretrained.Pretrained(arrays)
