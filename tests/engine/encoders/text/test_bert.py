import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.engine.encoders import make_config
from recommender.engine.encoders.text.bert import BertEncoder
from recommender.engine.errors import InvalidConfig, ModelMissing
from recommender.engine.options import Options
from tests.engine.encoders.text import tiny
from tests.engine.encoders.text.contract import TEXTS, TextContract

pytest.importorskip("transformers", reason="requirements-extras.txt is not installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("bert"))


def encode(model: Path | str, texts: list[str], **settings: Any) -> np.ndarray:
    config = make_config("text", "bert", {"model": str(model), "length": 64, **settings})
    return BertEncoder.open(BertEncoder.fit([], config, Options()), config).encode(texts)


class TestBert(TextContract):
    name = "bert"

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls, model: Path) -> dict[str, Any]:
        return {"model": str(model), "length": 64}


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_it_says_what_transformers_says(model: Path, pooling: str) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    reference, tokenizer = AutoModel.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)
    found = encode(model, TEXTS, pooling=pooling)
    for text, vector in zip(TEXTS, found, strict=True):
        given = tokenizer([text], return_tensors="pt", truncation=True, max_length=64)
        with torch.no_grad():
            states = reference(**given).last_hidden_state[0].numpy()
        expected = {"mean": states.mean(axis=0), "cls": states[0], "last": states[-1]}[pooling]
        np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="Set `model`"):
        encode("", ["a"])
    with pytest.raises(ModelMissing, match="nowhere"):
        encode(tmp_path / "nowhere", ["a"])
    with pytest.raises(ModelMissing, match="no-such-owner/no-such-model"):
        encode("no-such-owner/no-such-model", ["a"])


def test_a_model_of_another_size(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    told = json.loads((model / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps({**told, "hidden_size": 16}))
    with pytest.raises(ModelMissing, match="model"):
        encode(tmp_path / "model", ["a"])
    (tmp_path / "model" / "config.json").write_text(json.dumps({**told, "num_hidden_layers": 3}))
    with pytest.raises(ModelMissing, match=r"lacks the weights encoder\.layer\.2"):
        encode(tmp_path / "model", ["a"])
    (tmp_path / "model" / "config.json").write_text("{")
    with pytest.raises(ModelMissing, match="model"):
        encode(tmp_path / "model", ["a"])


def test_pickled_weights_are_not_read(model: Path, tmp_path: Path) -> None:
    import torch

    shutil.copytree(model, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(ModelMissing, match="safetensors"):
        encode(tmp_path / "model", ["a"])


def test_more_tokens_than_it_has_places_for(model: Path) -> None:
    with pytest.raises(InvalidConfig, match="takes 64 tokens at most"):
        encode(model, ["a"], length=65)


def test_without_transformers_it_says_what_to_install(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelMissing, match=r"pip install -r requirements-extras\.txt"):
        encode(model, ["a"])
