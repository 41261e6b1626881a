from typing import Any

import numpy as np
import pytest

from recommender.engine.data.sounds import Sound
from recommender.engine.encoders import make_config
from recommender.engine.encoders.audio.contrastive import ContrastiveConfig, ContrastiveEncoder
from recommender.engine.errors import InvalidConfig, NoData
from recommender.engine.options import Options
from tests.engine.encoders.audio.contract import AudioContract
from tests.engine.encoders.audio.sounds import SILENT, VARIED, glide, worlds

TINY: dict[str, Any] = {"width": 4, "depth": 2, "steps": 4, "batch": 8, "projection": 8}


class TestContrastive(AudioContract):
    name = "contrastive"

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls) -> dict[str, Any]:
        return TINY


def found(sounds: list[Sound], words: np.ndarray, voices: np.ndarray, **settings: Any) -> float:
    """Share of sounds whose nearest in another voice is the same word."""
    config = ContrastiveConfig(**{**TINY, "cepstra": 0.0, **settings})
    vectors = ContrastiveEncoder.open(ContrastiveEncoder.fit(sounds, config, Options()), config).encode(sounds)
    cosines = np.where(voices[:, None] == voices[None, :], -2, vectors @ vectors.T)
    return float((words[cosines.argmax(axis=1)] == words).mean())


def test_it_learns_to_find_a_word_in_another_voice() -> None:
    world = worlds()
    learned = found(*world, steps=80, batch=32, learning_rate=1e-2, width=8, projection=16)
    assert learned > 0.9  # by chance 0.25


@pytest.mark.parametrize("depth", [1, 3])
def test_the_graph_is_the_network(depth: int) -> None:
    import torch

    from recommender.engine.encoders.audio.learning import Network, exported
    from recommender.engine.learning import onnx

    torch.manual_seed(0)
    network = Network(4, depth, 8)
    crops = torch.randn(5, 1, 32, 48)
    network(crops)  # so that batch normalisation has seen something
    network.eval()
    with torch.no_grad():
        expected = network(crops).numpy()
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(onnx.Network(exported(network))(crops=crops.numpy()), expected, atol=1e-5)


def test_what_is_near_is_not_told_apart() -> None:
    import torch

    from recommender.engine.encoders.audio.learning import spared_nt_xent
    from recommender.engine.encoders.simclr_learning import nt_xent

    torch.manual_seed(0)
    first, second = torch.randn(4, 8), torch.randn(4, 8)
    alone = torch.eye(4, dtype=torch.bool)
    plain = spared_nt_xent(first, second, alone, 0.5)
    torch.testing.assert_close(plain, nt_xent(first, second, 0.5))
    pair = alone.clone()
    pair[0, 1] = pair[1, 0] = True
    views = torch.nn.functional.normalize(torch.cat((first, second)), dim=1)
    expected = 0.0
    for view in range(8):
        own = [other for other in range(8) if other % 4 != view % 4 and {other % 4, view % 4} != {0, 1}]
        twin = (views[view] @ views[(view + 4) % 8] / 0.5).exp()
        expected -= float((twin / (twin + sum((views[view] @ views[other] / 0.5).exp() for other in own))).log()) / 8
    assert float(spared_nt_xent(first, second, pair, 0.5)) == pytest.approx(expected, rel=1e-4)
    everything = torch.ones(4, 4, dtype=torch.bool)
    assert float(spared_nt_xent(first, second, everything, 0.5)) == 0


def test_long_sounds_are_learned_and_told_from_their_pieces() -> None:
    long = [np.concatenate([glide(low, 2000, 1.0, seed=low), glide(2000, low, 1.5)]) for low in (300, 900, 3000)]
    config = ContrastiveConfig(**TINY)
    opened = ContrastiveEncoder.open(ContrastiveEncoder.fit([*long, *VARIED], config, Options()), config)
    vectors = opened.encode(long)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors @ vectors.T)[~np.eye(3, dtype=bool)].max() < 0.999


def test_a_sample_bounds_what_is_learned_from() -> None:
    config = ContrastiveConfig(**TINY, sample=3)
    arrays = ContrastiveEncoder.fit(VARIED, config, Options())
    opened = ContrastiveEncoder.open(arrays, config)
    assert opened.encode(VARIED).any(axis=1).all()


def test_nothing_to_learn_from_is_told() -> None:
    for sounds in ([], VARIED[:1], SILENT):
        with pytest.raises(NoData, match="two sounds at least"):
            ContrastiveEncoder.fit(sounds, ContrastiveConfig(**TINY), Options())


@pytest.mark.parametrize(
    "values", [{"depth": 4}, {"crop_s": 0}, {"voice": 2}, {"bridging": -0.1}, {"cepstra": 1.1}, {"sample": 1}]
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match="must be"):
        make_config("audio", "contrastive", values)
