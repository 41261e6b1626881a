"""What a shopper sends to search with, a picture or a recording, decoded where a broken or wicked file can do no harm.

Decoders are C code on a stranger's bytes. Each upload gets a process of its own (services/decoder.py) without files,
without network, with a ceiling of memory and of time, and with nothing of ours in its memory: no settings, no
environment, no open descriptor. It answers with plain numbers, or it dies and the upload counts as unreadable. Nothing
is written to disk on the way.
"""

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest
from numpy.typing import NDArray

from recommender.engine.encoders import Picture, Sound
from recommender.engine.errors import Unreadable
from recommender.services.errors import Busy, UploadTooLarge

log = logging.getLogger(__name__)

MAX_BYTES = {"picture": 8 * 2**20, "sound": 8 * 2**20}  # of one upload: a phone's photo; 40 s of a CD
AROUND = 64 * 1024  # bytes of a form besides its file
LONGEST_S = 15.0  # of a recording that are listened to
AT_ONCE = 2  # uploads that one web process decodes at the same time; each may take a core and MEMORY
WAIT_S = 3.0  # for one of these places, before the shopper is asked to try again
MEMORY = 640 * 2**20  # bytes of address space: 110 MB for Python and NumPy, the rest for a large photo and a copy
CPU_S = 5  # seconds of processor time; a large photo takes half of one
WALL_S = 10.0  # seconds on the clock, also of a process that does nothing
MAX_ANSWER = {"picture": 4 * 2**20, "sound": 2**20 + 4096}  # bytes that are taken from the child
DTYPES = {"picture": np.dtype(np.uint8), "sound": np.dtype(np.float32)}
DIMENSIONS = {"picture": 3, "sound": 1}
WORDS = {"picture": "picture", "sound": "recording"}
MAX_HEAD = 500  # bytes of its first line
BLOCK = 64 * 1024  # bytes read at once

PROGRAM = Path(__file__).with_name("decoder.py")
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads would take their stacks from MEMORY

_places = threading.BoundedSemaphore(AT_ONCE)


def picture(data: bytes) -> Picture:
    """uint8 (height, width, 3). Raises UploadTooLarge, Unreadable, Busy."""
    return np.asarray(_decoded("picture", data), dtype=np.uint8)


def sound(data: bytes) -> Sound:
    """float32 (T,), the first LONGEST_S seconds at data/sounds.RATE. Raises UploadTooLarge, Unreadable, Busy."""
    return np.asarray(_decoded("sound", data), dtype=np.float32)


def gathered(kind: str, blocks: Iterable[bytes]) -> bytes:
    """The blocks as one, given up as soon as they are too many. Raises UploadTooLarge."""
    found, size = [], 0
    for block in blocks:
        size += len(block)
        check_size(kind, size)
        found.append(block)
    return b"".join(found)


def check_size(kind: str, size: int) -> None:
    """Raises UploadTooLarge."""
    if size > MAX_BYTES[kind]:
        raise UploadTooLarge(f"The file is too large: {MAX_BYTES[kind] // 2**20} MB is the most.")


def check_announced(kind: str, request: HttpRequest, around: int = 0) -> None:
    """Raises UploadTooLarge by the length that the request names, before a byte of its body is read."""
    announced = str(request.META.get("CONTENT_LENGTH") or "")
    if announced.isascii() and announced.isdigit():
        check_size(kind, int(announced[:18]) - around)


class InMemory(FileUploadHandler):
    """Keeps what a form sends in memory, where Django would write the larger files to disk.

    For `request.upload_handlers`, before anything asks for request.POST. Raises UploadTooLarge, made or while it reads.
    """

    def __init__(self, kind: str, request: HttpRequest) -> None:
        super().__init__(request)
        self._kind, self._size = kind, 0
        check_announced(kind, request, AROUND)

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._blocks: list[bytes] = []

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._size += len(raw_data)
        check_size(self._kind, self._size)
        self._blocks.append(raw_data)

    def file_complete(self, file_size: int) -> SimpleUploadedFile:
        return SimpleUploadedFile(self.file_name or "upload", b"".join(self._blocks))


def _decoded(kind: str, data: bytes) -> NDArray[Any]:
    check_size(kind, len(data))
    if not data:
        raise Unreadable("The file is empty.")
    if not _places.acquire(timeout=WAIT_S):
        raise Busy("Others are searching just now. Try again in a moment.")
    try:
        return _checked(kind, *_asked(kind, data))
    finally:
        _places.release()


def _asked(kind: str, data: bytes) -> tuple[bytes, int]:
    """What the child wrote, and how it ended."""
    limits = json.dumps({"memory": MEMORY, "cpu_s": CPU_S, "longest_s": LONGEST_S})
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("-packages"))]
    deadline = time.monotonic() + WALL_S
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(PROGRAM), kind, limits, *paths],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        cwd="/",
        close_fds=True,
        start_new_session=True,
        bufsize=0,
    ) as child:
        try:
            answer = _told(child, data, MAX_ANSWER[kind], deadline)
            if len(answer) <= MAX_ANSWER[kind]:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.0, deadline - time.monotonic()))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # with whatever it may have started
    return answer, child.returncode


def _told(child: subprocess.Popen[bytes], data: bytes, most: int, deadline: float) -> bytes:
    """Gives the child `data` and takes up to `most` bytes, until it is done or the time is up.

    Never waits for one pipe alone: a child that neither reads nor ends, or leaves its pipes to another, would hold us.
    """
    assert child.stdin and child.stdout
    rest, answer = memoryview(data), bytearray()
    with selectors.DefaultSelector() as waiting:
        for pipe, event in ((child.stdin, selectors.EVENT_WRITE), (child.stdout, selectors.EVENT_READ)):
            os.set_blocking(pipe.fileno(), False)
            waiting.register(pipe, event)
        while len(answer) <= most and (left_s := deadline - time.monotonic()) > 0:
            for key, _ in waiting.select(left_s):
                if key.fileobj is child.stdout:
                    block = os.read(key.fd, BLOCK)
                    answer += block
                    if not block:
                        return bytes(answer)
                else:
                    try:
                        rest = rest[os.write(key.fd, rest[:BLOCK]) :]
                    except BrokenPipeError:  # it has seen enough
                        rest = rest[:0]
                    if not rest:
                        waiting.unregister(child.stdin)
                        child.stdin.close()
    return bytes(answer)


def _checked(kind: str, answer: bytes, status: int) -> NDArray[Any]:
    """The array, if the child ended well and says what one may say. Raises Unreadable."""
    line, _, body = answer.partition(b"\n")
    try:
        if status:
            raise ValueError(f"it ended with {status}")
        head = json.loads(line[:MAX_HEAD])
        if refused := head.get("refused"):
            raise Unreadable(str(refused)[:300])
        shape, dtype = tuple(map(int, head["shape"])), np.dtype(head["dtype"])
        if dtype != DTYPES[kind] or len(shape) != DIMENSIONS[kind] or min(shape) < 1:
            raise ValueError(f"{dtype} {shape} was not asked for")
        found = np.frombuffer(body, dtype).reshape(shape)
        if not np.isfinite(found).all():
            raise ValueError("it holds NaN or infinity")
        return found
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        log.warning("A child that decoded a %s was lost: %s", kind, error)
        raise Unreadable(f"The {WORDS[kind]} could not be read in the time and memory that one is given.") from error
