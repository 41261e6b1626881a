"""What every text encoder promises beside the contract of all encoders."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest

from recommender.engine.encoders import Opened
from tests.contracts.encoder import EncoderContract

TEXTS = [
    "A brass lantern for long evenings in the garden",
    "Blue ceramic mug",
    "An atlas of the northern sea, with sixteen maps and notes by those who sailed it. " * 3,
    "Jazz quartet, live in Oslo; the second set. Crackles a little!",
    "Set of 3 children's tins, 20cm, red/white",
    "Ein Märchenbuch — καλημέρα, доброе утро",
    "lamp",
]
SILENT = ["", " \t\n", "...", "\x00", " -- "]
ROUGH = [
    "lantern " * 1_250_000,
    "x" * 10_000_000,
    "😀🎉" * 50,
    "mixed عربى 中文字 ไทย हिन्दी Ελληνικά text",
    "a lamp\x00 with\x00 NULs",
    "lone \ud800 surrogate \udfff",
    "é ﬁ ㎏ İ ß",
    "a" * 500,
    "\u200b\ufeff",
    "\U000e0041\uffff",
]


class TextContract(EncoderContract):
    modality: ClassVar[str] = "text"

    @pytest.fixture(scope="class")
    @classmethod
    def inputs(cls) -> Sequence[str]:
        return TEXTS

    @pytest.fixture(scope="class")
    @classmethod
    def silent(cls) -> Sequence[str]:
        return SILENT

    @pytest.mark.parametrize("text", ROUGH, ids=lambda text: ascii(text[:12]))
    def test_no_text_is_too_rough(self, opened: Opened, text: str) -> None:
        (vector,) = opened.encode([text])
        assert vector.shape == (opened.dimension,)
        length = float(np.linalg.norm(vector))
        assert length == 0 or abs(length - 1) < 1e-4

    def test_controls_are_spaces(self, opened: Opened) -> None:
        found = opened.encode(["blue\x00lamp", "blue lamp"])
        np.testing.assert_allclose(found[0], found[1], atol=2e-4)
