from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.engine.encoders.audio.wav2vec import Wav2vecConfig, Wav2vecEncoder
from recommender.engine.errors import InvalidConfig, ModelMissing
from recommender.engine.options import Options
from tests.engine.encoders.audio.contract import AudioContract
from tests.engine.encoders.audio.sounds import VARIED


def tiny(folder: Path, rate: int = 16_000, normalized: bool = True, **settings: Any) -> str:
    """A small real Wav2Vec2 of random weights, in `folder`."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=(8, 8, 8),
        conv_stride=(5, 4, 4), conv_kernel=(10, 8, 4), num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
        **settings,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.Wav2Vec2Model(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=rate, do_normalize=normalized).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny(tmp_path_factory.mktemp("wav2vec"))


class TestWav2vec(AudioContract):
    name = "wav2vec"

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls, model: str) -> dict[str, Any]:
        return {"model": model, "piece_s": 2.0, "layer": 1}


@pytest.mark.parametrize("layer", [-1, 0, 1])
def test_vectors_are_the_models_own_whatever_the_length(model: str, layer: int) -> None:
    import torch
    import transformers

    config = Wav2vecConfig(model=model, layer=layer)
    opened = Wav2vecEncoder.open(Wav2vecEncoder.fit([], config, Options()), config)
    own = transformers.Wav2Vec2Model.from_pretrained(model).eval()
    for sound in (VARIED[0], VARIED[5]):
        samples = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
        with torch.no_grad():
            states = own(torch.from_numpy(samples)[None], output_hidden_states=True).hidden_states[layer]
        expected = states.mean(dim=1)[0].numpy()
        np.testing.assert_allclose(opened.encode([sound])[0], expected / np.linalg.norm(expected), atol=1e-4)


def test_a_long_sound_is_the_mean_of_its_pieces(model: str) -> None:
    config = Wav2vecConfig(model=model, piece_s=0.5)
    opened = Wav2vecEncoder.open(Wav2vecEncoder.fit([], config, Options()), config)
    piece = VARIED[0][:8000]
    np.testing.assert_allclose(opened.encode([np.tile(piece, 4)]), opened.encode([piece]), atol=1e-4)


def test_models_that_do_not_fit_are_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="Set `model`"):
        Wav2vecEncoder.fit([], Wav2vecConfig(), Options())
    with pytest.raises(ModelMissing):
        Wav2vecEncoder.fit([], Wav2vecConfig(model=str(tmp_path / "nowhere")), Options())
    with pytest.raises(InvalidConfig, match=r"layer is 3, and .* has 2"):
        Wav2vecEncoder.fit([], Wav2vecConfig(model=model, layer=3), Options())
    with pytest.raises(InvalidConfig, match="hears 8000 samples"):
        Wav2vecEncoder.fit([], Wav2vecConfig(model=tiny(tmp_path / "slow", rate=8_000)), Options())
