from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.engine.encoders import make_config
from recommender.engine.encoders.text.gpt import GptEncoder
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options
from tests.engine.encoders.text import tiny
from tests.engine.encoders.text.contract import TEXTS, TextContract

pytest.importorskip("transformers", reason="requirements-extras.txt is not installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.gpt(tmp_path_factory.mktemp("gpt"))


class TestGpt(TextContract):
    name = "gpt"

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls, model: Path) -> dict[str, Any]:
        return {"model": str(model), "length": 64}


def test_the_last_token_says_what_transformers_says(model: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    config = make_config("text", "gpt", {"model": str(model), "pooling": "last", "length": 64})
    found = GptEncoder.open(GptEncoder.fit([], config, Options()), config).encode(TEXTS)
    reference, tokenizer = AutoModel.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)
    for text, vector in zip(TEXTS, found, strict=True):
        plain = " ".join(text.split())
        with torch.no_grad():
            given = tokenizer([plain], return_tensors="pt", truncation=True, max_length=64)
            expected = reference(**given).last_hidden_state[0, -1].numpy()
        np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)


def test_its_first_token_knows_nothing() -> None:
    with pytest.raises(InvalidConfig, match="mean or last"):
        make_config("text", "gpt", {"pooling": "cls"})
