"""A client that asks on time, whether or not the last answers have come: what a crowd does, and a closed loop does not.

Each request has its moment, and its latency counts from that moment, also where it could not be sent yet.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_CONNECTIONS = 400
Note = Callable[[bytes], Any]  # what to keep of a body


@dataclass
class Seen:
    """What one client saw, a row for each request."""

    moment: list[float] = field(default_factory=list)
    """Seconds since the start at which it was to be sent."""
    took: list[float] = field(default_factory=list)
    """Seconds from then to its answer."""
    status: list[int] = field(default_factory=list)
    """0: the connection broke, or no answer within the patience."""
    kind: list[int] = field(default_factory=list)
    """Which of the requests it was."""
    odd: list[str] = field(default_factory=list)
    """The first bytes of some answers that are neither 200 nor 503."""
    no_retry_after: int = 0
    noted: list[Any] = field(default_factory=list)
    """What `note` made of each answer of 200."""


class _Wire(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self) -> None:
        self.buffer = b""
        self.waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.open = transport, True

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        if b"\r\ncontent-length:" in lower:
            whole = len(rest) >= int(lower.split(b"\r\ncontent-length:", 1)[1].split(b"\r\n", 1)[0])
        else:
            whole = rest.endswith(b"0\r\n\r\n")
        if whole and self.waiting and not self.waiting.done():
            answer, self.buffer = self.buffer, b""
            self.waiting.set_result((int(head[9:12]), answer))

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if self.waiting and not self.waiting.done():
            self.waiting.set_result((0, b""))


async def _run(
    port: int, requests: Sequence[bytes], rate: float, seconds: float, patience_s: float, note: Note | None
) -> Seen:
    loop, seen, idle = asyncio.get_running_loop(), Seen(), list[_Wire]()
    room = asyncio.Semaphore(MOST_CONNECTIONS)
    rng = random.Random(1)
    began = time.perf_counter()

    async def one(due: float, kind: int) -> None:
        status, answer, wire = 0, b"", None
        try:
            async with asyncio.timeout(patience_s), room:
                while idle and wire is None:
                    wire = idle.pop()
                    wire = wire if wire.open else None
                if wire is None:
                    _, wire = await loop.create_connection(_Wire, "127.0.0.1", port)
                wire.waiting = loop.create_future()
                wire.transport.write(requests[kind])  # type: ignore[attr-defined]
                status, answer = await wire.waiting
                if wire.open:
                    idle.append(wire)
        except (TimeoutError, OSError):
            if wire is not None:
                wire.transport.close()
        seen.moment.append(due)
        seen.took.append(time.perf_counter() - began - due)
        seen.status.append(status)
        seen.kind.append(kind)
        seen.noted.append(note(answer.partition(b"\r\n\r\n")[2]) if note and status == 200 else None)
        if status == 503 and b"retry-after:" not in answer[:600].lower():
            seen.no_retry_after += 1
        if status not in (200, 201, 503) and len(seen.odd) < 5:
            seen.odd.append(answer[:300].decode(errors="replace"))

    running: set[asyncio.Task[None]] = set()
    due = 0.0
    while due < seconds:
        now = time.perf_counter() - began
        while due <= now and due < seconds:
            task = loop.create_task(one(due, rng.randrange(len(requests))))
            running.add(task)
            task.add_done_callback(running.discard)
            due += rng.expovariate(rate)
        await asyncio.sleep(max(0.0, min(due - (time.perf_counter() - began), 0.01)))
    if running:
        await asyncio.wait(running)
    for wire in idle:
        wire.transport.close()
    return seen


def ask(
    port: int,
    requests: Sequence[bytes],
    rate: float,
    seconds: float,
    *,
    patience_s: float = 30.0,
    note: Note | None = None,
) -> Seen:
    """Send `rate` requests a second, each one of `requests` by chance, at moments of a Poisson process."""
    return asyncio.run(_run(port, requests, rate, seconds, patience_s, note))
