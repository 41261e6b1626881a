"""resnet, vit and clip on tiny real models: the contract, and the same vectors that transformers makes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recommender.engine.data.vectors import unit
from recommender.engine.encoders import encoder, make_config
from recommender.engine.encoders.image.pretrained import Preparation
from recommender.engine.errors import InvalidConfig, ModelMissing
from recommender.engine.options import Options
from tests.contracts.encoder import EncoderContract
from tests.engine.encoders.image.samples import SILENT, noise, saved


def resnet(folder: Path) -> str:
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    return saved(folder, "ResNetModel", "ConvNextImageProcessorPil", config, size={"shortest_edge": 32}, crop_pct=0.875)


def vit(folder: Path) -> str:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
    )
    return saved(folder, "ViTModel", "ViTImageProcessorPil", config, size={"height": 32, "width": 32})


def clip(folder: Path) -> str:
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": 50}, vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )  # fmt: skip
    sizes = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
    return saved(folder, "CLIPModel", "CLIPImageProcessorPil", config, **sizes)


MODELS = {"resnet": resnet, "vit": vit, "clip": clip}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {name: made(tmp_path_factory.mktemp(name)) for name, made in MODELS.items()}


class PretrainedContract(EncoderContract):
    modality = "image"

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls, folders: dict[str, str]) -> dict[str, Any]:
        return {"model": folders[cls.name]}

    @pytest.fixture(scope="class")
    @classmethod
    def inputs(cls) -> Sequence[Any]:
        return noise(5)

    @pytest.fixture(scope="class")
    @classmethod
    def silent(cls) -> Sequence[Any]:
        return SILENT

    def test_vectors_are_the_models_own(self, vectors: np.ndarray, config: dict[str, Any], inputs: Any) -> None:
        import torch
        import transformers

        kind = {"clip": transformers.CLIPModel}.get(self.name, transformers.AutoModel)
        model = kind.from_pretrained(config["model"]).eval()
        prepared = transformers.AutoImageProcessor.from_pretrained(config["model"])
        with torch.no_grad():
            shown = prepared(images=[Image.fromarray(one) for one in inputs], return_tensors="pt")
            if self.name == "clip":
                found = model.get_image_features(**shown).pooler_output
            else:
                found = model(**shown).last_hidden_state
                found = found.mean(dim=(2, 3)) if self.name == "resnet" else found[:, 0]
        np.testing.assert_allclose(vectors, unit(found.numpy()), atol=1e-4)


class TestResnet(PretrainedContract):
    name = "resnet"


class TestVit(PretrainedContract):
    name = "vit"


class TestClip(PretrainedContract):
    name = "clip"


@pytest.mark.parametrize("name", list(MODELS))
def test_a_model_that_is_not_there_says_so(name: str, tmp_path: Path) -> None:
    for model in ("", str(tmp_path / "nowhere"), str(tmp_path)):
        with pytest.raises(ModelMissing):
            encoder("image", name).fit([], make_config("image", name, {"model": model}), Options())


def test_a_model_of_another_kind_is_named(folders: dict[str, str]) -> None:
    for name, other, match in (("vit", "resnet", "resnet may take it"), ("resnet", "vit", "vit may take it")):
        with pytest.raises(InvalidConfig, match=match):
            encoder("image", name).fit([], make_config("image", name, {"model": folders[other]}), Options())
    with pytest.raises(ModelMissing):
        encoder("image", "clip").fit([], make_config("image", "clip", {"model": folders["resnet"]}), Options())


def test_a_size_that_the_model_was_not_made_for_is_refused(tmp_path: Path) -> None:
    folder = Path(vit(tmp_path))
    told = json.loads((folder / "preprocessor_config.json").read_text())
    for size, error in (({"height": 48, "width": 48}, "cannot see"), ({"height": 9000, "width": 9000}, "size")):
        (folder / "preprocessor_config.json").write_text(json.dumps({**told, "size": size}))
        with pytest.raises(InvalidConfig, match=error):
            encoder("image", "vit").fit([], make_config("image", "vit", {"model": str(folder)}), Options())


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    folder = Path(resnet(tmp_path))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelMissing):
        encoder("image", "resnet").fit([], make_config("image", "resnet", {"model": str(folder)}), Options())


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("shape", [(300, 20), (20, 300), (33, 47), (1, 90)])
def test_pictures_are_prepared_as_transformers_does(name: str, shape: tuple[int, int], folders: dict[str, str]) -> None:
    import transformers

    picture = np.random.default_rng(5).integers(0, 256, (*shape, 3), dtype=np.uint8)
    prepared = Preparation.of(folders[name])
    theirs = transformers.AutoImageProcessor.from_pretrained(folders[name])(
        images=Image.fromarray(picture), return_tensors="np"
    )
    found = Preparation.restored(prepared.stored())(picture)
    np.testing.assert_allclose(found, theirs["pixel_values"][0], atol=1e-5)
