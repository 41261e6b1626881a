"""What every audio encoder promises, and of which sounds."""

from typing import ClassVar

import numpy as np
import pytest

from tests.contracts.encoder import EncoderContract
from tests.engine.encoders.audio.sounds import SILENT, VARIED


class AudioContract(EncoderContract):
    modality: ClassVar[str] = "audio"

    @pytest.fixture(scope="class")
    @classmethod
    def inputs(cls) -> list[np.ndarray]:
        return VARIED

    @pytest.fixture(scope="class")
    @classmethod
    def silent(cls) -> list[np.ndarray]:
        return SILENT
