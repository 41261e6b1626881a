"""One step's loss and gradients, worked out by several threads that each take a part of the batch.

For small networks on a CPU, torch's own threads meet hundreds of times per step, and each time wait for the slowest;
where other processes use the cores too, two take longer than one. Here they meet once per step.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor

Part = TypeVar("Part")


@contextmanager
def pool(threads: int, parts: int) -> Iterator[Executor]:
    """Threads for `parts` parts at a time, which have `threads` of torch's own between them."""
    workers = max(1, min(threads, parts))
    own = max(1, threads // workers)
    with ThreadPoolExecutor(workers, "learning", lambda: torch.set_num_threads(own)) as executor:
        yield executor


def summed(
    parts: Sequence[Part], loss: Callable[[Part], Tensor], weights: Sequence[Tensor], executor: Executor
) -> Tensor:
    """The sum of the parts' losses, whose gradients are known already: backward() hands them to `weights`.

    `loss` runs in another thread, so it draws from no generator that parts share. The sum is the same for any number of
    threads.
    """
    total: Tensor = _Summed.apply(parts, loss, executor, *weights)
    return total


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, parts: Sequence[Any], loss: Callable[[Any], Tensor], executor: Executor, *weights: Tensor
    ) -> Tensor:
        def part(one: Any) -> tuple[Tensor, tuple[Tensor | None, ...]]:
            with torch.enable_grad():
                value = loss(one)
                return value.detach(), torch.autograd.grad(value, weights, allow_unused=True)

        found = list(executor.map(part, parts))
        grads: list[Tensor | None] = []
        for several in zip(*(grads for _, grads in found), strict=True):
            known = [grad for grad in several if grad is not None]
            grads.append(torch.stack(known).sum(dim=0) if len(known) > 1 else known[0] if known else None)
        ctx.grads = grads
        return torch.stack([value for value, _ in found]).sum()

    @staticmethod
    def backward(ctx: Any, *outside: Tensor) -> Any:
        return (None, None, None, *(None if grad is None else grad * outside[0] for grad in ctx.grads))
