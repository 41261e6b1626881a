"""The contrastive loss, the network, and what both learn from views."""

from math import exp, log

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from recommender.engine.encoders.image.views import Distortion, views  # noqa: E402
from recommender.engine.encoders.simclr import SimclrConfig  # noqa: E402
from recommender.engine.encoders.simclr_learning import Network, learn_from_views, nt_xent  # noqa: E402
from recommender.engine.learning import onnx  # noqa: E402
from recommender.engine.learning.workplace import workplace  # noqa: E402
from recommender.engine.options import Options  # noqa: E402


def test_the_loss_is_the_papers() -> None:
    random = np.random.default_rng(0)
    first, second = (torch.tensor(random.normal(size=(4, 3)), dtype=torch.float32) for _ in range(2))
    views = np.concatenate([first.numpy(), second.numpy()])
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    total = 0.0
    for i in range(8):
        twin = (i + 4) % 8
        others = sum(exp(views[i] @ views[k] / 0.3) for k in range(8) if k != i)
        total -= log(exp(views[i] @ views[twin] / 0.3) / others) / 8
    assert nt_xent(first, second, 0.3).item() == pytest.approx(total, rel=1e-5)


def test_the_graph_says_what_the_network_says() -> None:
    network = Network(3, 4, 2)
    for _ in range(3):  # so that the norms have something to fold in
        network(torch.randn(8, 3, 16, 20))
    network.eval()
    graph = onnx.Graph()
    made = graph.encoded(network.graph(graph, graph.input("x", np.float32, "B", 3, "H", "W")), "B", network.features)
    x = torch.randn(5, 3, 18, 24)
    with torch.no_grad():
        np.testing.assert_allclose(onnx.Network(made)(x=x.numpy()), network(x).numpy(), atol=1e-5)


def test_learning_brings_views_of_one_thing_together() -> None:
    things = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    config = SimclrConfig(steps=40, batch=12, width=4, depth=1, projection=8, learning_rate=1e-2)
    options = Options(seed=1)

    def run() -> tuple[np.ndarray, list[float]]:
        with workplace(options) as place:
            network = Network(1, config.width, config.depth)

            def both(rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
                seen = things[rows]
                return seen + 0.2 * torch.randn_like(seen), seen + 0.2 * torch.randn_like(seen)

            course = learn_from_views(network, both, len(things), config, options, place, fingerprint={})
            with torch.no_grad():
                return network(things).numpy(), course.losses

    features, losses = run()
    assert len(losses) == 20 and losses[-1] < losses[0] - 0.5
    again, _ = run()
    np.testing.assert_array_equal(features, again)


@pytest.mark.parametrize(("count", "batch", "epochs"), [(2, 2, 8), (3, 2, 8), (64, 2, 1)])
def test_steps_bound_the_time_for_any_number_of_items(count: int, batch: int, epochs: int) -> None:
    config = SimclrConfig(steps=8, epochs=8, batch=batch, width=4, depth=1, projection=2)
    steps = 0
    with workplace(Options()) as place:

        def both(rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
            nonlocal steps
            steps += 1
            return torch.rand(len(rows), 1, 4, 4), torch.rand(len(rows), 1, 4, 4)

        course = learn_from_views(Network(1, 4, 1), both, count, config, Options(), place, fingerprint={})
    assert len(course.losses) == epochs and steps == 8


def test_views_are_parts_of_the_picture_and_keep_its_figure_in_place() -> None:
    torch.manual_seed(0)
    picture = torch.zeros(64, 4, 20, 20, dtype=torch.uint8)
    picture[:, :3, 5:15, 5:15] = 200
    picture[:, 3, 5:15, 5:15] = 255
    plain = views(picture, 16, Distortion(crop=1.0, colour=0.0, grey=0.0, turn_degrees=0.0))
    assert plain.shape == (64, 4, 16, 16)
    np.testing.assert_allclose(plain[:, :3].amax(), 200 / 255, atol=1e-5)
    changed = views(picture, 16, Distortion(crop=0.3, colour=1.0, grey=0.5, turn_degrees=20.0))
    assert changed.min() >= 0 and changed.max() <= 1
    assert changed[:, 3].mean(dim=(1, 2)).std() > 0.02  # other parts
    assert changed[:, :3].amax(dim=(1, 2, 3)).std() > 0.02  # other light
    black = changed[:, :3].amax(dim=1)[changed[:, 3] < 0.01]
    np.testing.assert_allclose(black.median(), black.min(), atol=0.3)
