"""What training makes small. Every loss is a mean over the batch, computed in float32.

B batch, M negatives, N items, D dimensions. A negative that is masked scores -inf (see `negatives.masked`), and no loss
minds it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS_BYTES = 8 * 2**20  # of scores held at once by the full softmax, so that they stay in the processor's cache
FILLED = 64  # rows that a part of them is a multiple of: oneDNN compiles a product for every number it meets


def bpr(positive: Tensor, negative: Tensor) -> Tensor:
    """-log sigma(s+ - s-), over every negative (Rendle et al. 2009, "BPR", BPR-Opt without its regulariser).

    positive (B,); negative (B,) or (B, M).
    """
    return F.softplus(negative.float() - positive.float().reshape(-1, *[1] * (negative.dim() - 1))).mean()


def full_softmax(queries: Tensor, items: Tensor, targets: Tensor, bias: Tensor | None = None) -> Tensor:
    """-log(exp(q . y_t + b_t) / sum_i exp(q . y_i + b_i)) over all items.

    queries (B, D), items (N, D), targets int64 (B,), bias (N,). Both the loss and its gradients are made a few rows at
    a time, so that 8 MiB hold the scores of any batch. O(B N D), three matrix products, in autocast's precision; sums
    are float32.
    """
    kind = torch.get_autocast_dtype(queries.device.type) if _autocast(queries) else queries.dtype
    loss: Tensor = _FullSoftmax.apply(queries, items, targets, bias, kind)
    return loss


def sampled_softmax(
    positive: Tensor, negative: Tensor, positive_log_q: Tensor | None = None, negative_log_q: Tensor | None = None
) -> Tensor:
    """-log(exp(s+ - log q+) / (exp(s+ - log q+) + sum_j exp(s-_j - log q-_j))) (Yi et al. 2019, equations 2 and 3).

    positive (B,); negative (B, M), or (M,) where all share theirs; log_q, of the same shapes or (M,), are the logs of
    the chances to be drawn. Taking them off makes the sampled sum an estimate of the full one; without them frequent
    items, drawn more often, are pushed down further.
    """
    positive, negative = positive.float(), negative.float()
    if positive_log_q is not None:
        positive = positive - positive_log_q
    if negative_log_q is not None:
        negative = negative - negative_log_q
    return (torch.logaddexp(positive, torch.logsumexp(negative, dim=-1)) - positive).mean()


def bsl(positive: Tensor, negative: Tensor, temperature_positive: float, temperature_negative: float) -> Tensor:
    """-t+ log mean_i exp(s+_i / t+) + t- log mean_j exp(s-_j / t-), the bilateral softmax loss (Wu et al. 2024, "BSL:
    Understanding and Improving Softmax Loss for Recommendation").

    positive (B, P), a user's positives, -inf where there are fewer; negative (B, M). A mean over many positives lets
    those go that do not fit the rest: a lower t+ forgives more of them. The loss is divided by t-, so that an endless
    t+ would make it the softmax loss. 0 stands for the mean of none.
    """
    liked = temperature_positive * _log_mean_exp(positive.float() / temperature_positive)
    other = temperature_negative * _log_mean_exp(negative.float() / temperature_negative)
    return (other - liked).mean() / temperature_negative


def gbce(positive: Tensor, negative: Tensor, share: float, calibration: float) -> Tensor:
    """-(beta log sigma(s+) + sum_j log(1 - sigma(s-_j))) / (M + 1), beta = a (t (1 - 1/a) + 1/a) (Petrov and Macdonald
    2023, "gSASRec", equations 9 and 12).

    positive (B,); negative (B, M). a = `share` of all other items that M are; t = `calibration`: 0 is plain binary
    cross-entropy, 1 makes up for all of the confidence that drawing few negatives feigns.
    """
    beta = share * (calibration * (1 - 1 / share) + 1 / share)
    positive, negative = positive.float(), negative.float()
    return (beta * F.softplus(-positive) + F.softplus(negative).sum(dim=-1)).mean() / (negative.shape[-1] + 1)


def _log_mean_exp(scores: Tensor) -> Tensor:
    """log mean exp over the last axis of those above -inf; 0 where there is none."""
    counts = (scores > -float("inf")).sum(dim=-1)
    none = (counts == 0)[..., None]
    return (
        torch.logsumexp(scores.masked_fill(none, 0), dim=-1) - torch.where(counts > 0, counts, scores.shape[-1]).log()
    )


def _autocast(queries: Tensor) -> bool:
    return torch.is_autocast_enabled(queries.device.type)


class _FullSoftmax(torch.autograd.Function):
    """A softmax's gradient is known as soon as its value is, so both are made while the scores are at hand."""

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, items: Tensor, targets: Tensor, bias: Tensor | None, kind: torch.dtype
    ) -> Tensor:
        size = max(1, ROWS_BYTES // (kind.itemsize * max(1, len(items))))
        count, products = len(queries), items.to(kind)
        reading = F.pad(queries.to(kind), (0, 0, 0, -count % FILLED))
        total = queries.new_zeros((), dtype=torch.float32)
        for_queries = torch.empty_like(reading)
        for_items = torch.zeros_like(items, dtype=torch.float32)
        for_bias = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)
        room = reading.new_empty(min(size, len(reading)), len(items))
        for start in range(0, len(reading), size):
            part, wanted = reading[start : start + size], targets[start : start + size, None]
            chances = torch.mm(part, products.T, out=room[: len(part)])
            if bias is not None:
                chances += bias
            torch.softmax(chances, dim=1, out=chances)
            chosen = chances[: len(wanted)].gather(1, wanted).float()
            total -= chosen.clamp_min(torch.finfo(torch.float32).tiny).log().sum()
            torch.mm(chances, products, out=for_queries[start : start + size])
            for_items += chances.T @ part
            if for_bias is not None:
                for_bias += chances[: len(wanted)].sum(dim=0, dtype=torch.float32)
        # What was chosen had a chance of 1: taken off apart, so that none of it is lost to rounding.
        for_queries = ((for_queries[:count].float() - items.float()[targets]) / count).to(queries.dtype)
        for_items.index_add_(0, targets, reading[:count].float(), alpha=-1).div_(count)
        if for_bias is not None:
            for_bias -= torch.bincount(targets, minlength=len(items))
            for_bias /= count
        ctx.save_for_backward(for_queries, for_items.to(items.dtype), for_bias)
        return total / count

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        for_queries, for_items, for_bias = ctx.saved_tensors
        return (
            for_queries * grads[0],
            for_items * grads[0],
            None,
            None if for_bias is None else for_bias * grads[0],
            None,
        )
