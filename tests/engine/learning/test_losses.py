"""Each loss against its equation, written out in loops and float64."""

from math import exp, log

import numpy as np
import pytest
import torch
from torch import Tensor

from recommender.engine.learning import losses

B, M, N, D = 7, 5, 23, 4


@pytest.fixture
def scores() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    return torch.randn(B, generator=random) * 3, torch.randn(B, M, generator=random) * 3


def sigma(x: float) -> float:
    return 1 / (1 + exp(-x))


def test_bpr(scores: tuple[Tensor, Tensor]) -> None:
    positive, negative = scores
    expected = np.mean([[-log(sigma(float(p - n))) for n in row] for p, row in zip(positive, negative, strict=True)])
    assert float(losses.bpr(positive, negative)) == pytest.approx(expected, rel=1e-5)
    single = np.mean([-log(sigma(float(p - n))) for p, n in zip(positive, negative[:, 0], strict=True)])
    assert float(losses.bpr(positive, negative[:, 0])) == pytest.approx(single, rel=1e-5)


def test_sampled_softmax_with_its_correction(scores: tuple[Tensor, Tensor]) -> None:
    positive, negative = scores
    chances = torch.rand(M, generator=torch.Generator().manual_seed(1))
    own = torch.rand(B, generator=torch.Generator().manual_seed(2))
    expected = 0.0
    for b in range(B):
        up = exp(float(positive[b])) / float(own[b])
        expected -= log(up / (up + sum(exp(float(negative[b, j])) / float(chances[j]) for j in range(M)))) / B
    found = losses.sampled_softmax(positive, negative, own.log(), chances.log())
    assert float(found) == pytest.approx(expected, rel=1e-5)
    plain = losses.sampled_softmax(positive, negative)
    assert float(plain) == pytest.approx(float(losses.sampled_softmax(positive, negative, torch.zeros(B))), rel=1e-6)
    assert float(plain) != pytest.approx(expected, rel=1e-2)


def test_the_correction_makes_of_a_sample_an_estimate_of_the_whole() -> None:
    """With M chances times log q of 1e5 draws, the sampled sum comes to what the sum over all items is."""
    random = np.random.default_rng(0)
    logits = torch.tensor(random.normal(0, 2, N), dtype=torch.float32)
    chances = random.dirichlet(np.ones(N) / 2)
    drawn = torch.as_tensor(random.choice(N, 100_000, p=chances))
    log_q = torch.tensor(np.log(chances * len(drawn)), dtype=torch.float32)
    target = logits[[3]]
    # The target stands for itself in the first sum, beside the sampled ones, so it is taken out of the whole.
    sampled = losses.sampled_softmax(target, logits[drawn][None], None, log_q[drawn])
    whole = torch.logaddexp(target, torch.logsumexp(logits, 0)) - target
    assert float(sampled) == pytest.approx(float(whole), rel=0.02)


def test_bsl(scores: tuple[Tensor, Tensor]) -> None:
    _, negative = scores
    positive = torch.tensor([[1.0, 2.0, -0.5], [0.3, -float("inf"), -float("inf")]])
    expected = 0.0
    for liked, others in zip(([1.0, 2.0, -0.5], [0.3]), negative[:2].tolist(), strict=True):
        up = 0.7 * log(np.mean([exp(score / 0.7) for score in liked]))
        expected += (-up + 0.2 * log(np.mean([exp(score / 0.2) for score in others]))) / 0.2 / 2
    assert float(losses.bsl(positive, negative[:2], 0.7, 0.2)) == pytest.approx(expected, rel=1e-5)


def test_bsl_of_one_positive_differs_from_the_softmax_loss_by_a_constant(scores: tuple[Tensor, Tensor]) -> None:
    """Up to the positive in the sum below, which the loss of its authors leaves out."""
    positive, negative = (score.requires_grad_() for score in scores)
    softmax = (torch.logsumexp(negative / 0.3, dim=1) - positive / 0.3).mean()
    found = losses.bsl(positive[:, None], negative, 0.7, 0.3)
    assert float(found.detach()) == pytest.approx(float(softmax.detach()) - log(M), rel=1e-5)


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
def test_gbce(scores: tuple[Tensor, Tensor], share: float, calibration: float) -> None:
    positive, negative = scores
    beta = share * (calibration * (1 - 1 / share) + 1 / share)
    expected = np.mean(
        [
            -(beta * log(sigma(float(p))) + sum(log(1 - sigma(float(n))) for n in row)) / (M + 1)
            for p, row in zip(positive, negative, strict=True)
        ]
    )
    assert float(losses.gbce(positive, negative, share, calibration)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_full_softmax_in_parts_equals_cross_entropy(
    monkeypatch: pytest.MonkeyPatch, rows: int, with_bias: bool
) -> None:
    monkeypatch.setattr(losses, "ROWS_BYTES", 4 * N * rows)
    random = torch.Generator().manual_seed(0)
    shapes = ((B, D), (N, D), (N,))
    queries, items, bias = (torch.randn(shape, generator=random, requires_grad=True) for shape in shapes)
    targets = torch.randint(0, N, (B,), generator=random)
    weights = [queries, items, bias] if with_bias else [queries, items]
    whole = torch.nn.functional.cross_entropy(queries @ items.T + (bias if with_bias else 0), targets)
    found = losses.full_softmax(queries, items, targets, bias if with_bias else None)
    torch.testing.assert_close(found, whole)
    expected = torch.autograd.grad(3 * whole, weights)
    for ours, theirs in zip(torch.autograd.grad(3 * found, weights), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_full_softmax_in_bfloat16_is_close_and_gives_float32() -> None:
    random = torch.Generator().manual_seed(0)
    queries, items = (torch.randn(size, D, generator=random, requires_grad=True) for size in (B, N))
    targets = torch.randint(0, N, (B,), generator=random)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = losses.full_softmax(queries, items, targets)
    assert found.dtype == torch.float32
    exact = losses.full_softmax(queries, items, targets)
    assert float(found.detach()) == pytest.approx(float(exact.detach()), rel=0.02)
    assert float(found.detach()) != float(exact.detach())
    [slopes] = torch.autograd.grad(found, [items])
    assert slopes.dtype == torch.float32
    torch.testing.assert_close(slopes, torch.autograd.grad(exact, [items])[0], atol=0.01, rtol=0.05)


def test_masked_negatives_count_for_nothing(scores: tuple[Tensor, Tensor]) -> None:
    positive, negative = scores
    masked = negative.clone()
    masked[:, 2:] = -float("inf")
    few = negative[:, :2]
    pairs = (
        (losses.sampled_softmax(positive, masked), losses.sampled_softmax(positive, few)),
        (losses.bsl(positive[:, None], masked, 1, 1), losses.bsl(positive[:, None], few, 1, 1)),
        (losses.bpr(positive, masked) * M, losses.bpr(positive, few) * 2),
        (losses.gbce(positive, masked, 0.1, 0.5) * (M + 1), losses.gbce(positive, few, 0.1, 0.5) * 3),
    )
    for found, expected in pairs:
        assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_where_all_negatives_are_masked_losses_and_slopes_are_finite(scores: tuple[Tensor, Tensor]) -> None:
    positive = scores[0].requires_grad_()
    none = scores[1].requires_grad_().masked_fill(torch.ones(B, M, dtype=torch.bool), -float("inf"))
    for loss in (
        losses.bpr(positive, none),
        losses.sampled_softmax(positive, none),
        losses.bsl(positive[:, None], none, 0.5, 0.1),
        losses.gbce(positive, none, 0.5, 0.5),
    ):
        slopes = torch.autograd.grad(loss, [positive, scores[1]], retain_graph=True)
        assert torch.isfinite(loss)
        assert all(torch.isfinite(slope).all() for slope in slopes)
