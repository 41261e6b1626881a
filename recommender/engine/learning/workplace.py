"""Where torch works, and on what terms: the device, the precision, the threads, the seed."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options


@dataclass(frozen=True)
class Workplace:
    device: torch.device
    bfloat16: bool
    words: str
    """For people: "on 2 CPU threads", "on NVIDIA H100"."""

    def autocast(self) -> AbstractContextManager[None]:
        """Within it, matrix products are bfloat16 where the precision says so; sums, norms and losses are not."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bfloat16)


@contextmanager
def workplace(options: Options, precision: str = "float32") -> Iterator[Workplace]:
    """Seeded and with `options.threads`, until it ends; then everything is as it was before.

    Make the module inside, so that its first weights follow from the seed. On a CPU the same seed and threads give the
    same bits. Raises InvalidConfig where `options.device` is not there.
    """
    device = _device(options.device)
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warning = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filling = memory.fill_uninitialized_memory
    # NumPy's BLAS has threads of its own, which would fight with torch's over the cores while a model is judged.
    with (
        torch.random.fork_rng(devices=[device.index or 0] if device.type == "cuda" else []),
        threadpool_limits(limits=options.threads, user_api="blas"),
    ):
        try:
            torch.manual_seed(options.seed)
            torch.set_num_threads(options.threads)
            if device.type == "cpu":
                torch.use_deterministic_algorithms(True)
                memory.fill_uninitialized_memory = False
            yield Workplace(device, _bfloat16(precision, device), _words(device, options.threads))
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic, warn_only=warning)
            memory.fill_uninitialized_memory = filling


def _device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise InvalidConfig(f'The device {name!r} is none of: "auto", "cpu", "cuda".')
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidConfig('The device "cuda" was asked for, but torch finds no GPU here; "auto" takes what there is.')
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _bfloat16(precision: str, device: torch.device) -> bool:
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Processors without instructions for it do it in float32 and slower.
    return any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))


def _words(device: torch.device, threads: int) -> str:
    if device.type == "cuda":
        return f"on {torch.cuda.get_device_name(device)}"
    return f"on {threads} CPU thread{'s' if threads > 1 else ''}"
