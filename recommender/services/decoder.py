"""A program of its own: one stranger's file comes in by a pipe, plain numbers go out, and then it ends.

    python -I -S decoder.py KIND LIMITS PATH... < upload > answer

`uploads` starts it. Before it looks at the first byte it gives up what decoding does not need: memory, time, writing
files, opening anything, core dumps. The answer is one line of JSON, {"shape", "dtype"} or {"refused"}, and the numbers.
"""

import json
import resource
import sys
from collections.abc import Callable
from functools import partial
from typing import Any


def limit(name: str, value: int) -> None:
    """Both the soft and the hard limit, so that nothing in here can lift it again."""
    try:
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    except (AttributeError, ValueError, OSError):
        if sys.platform == "linux":  # others do not have, or not keep, every limit
            raise


def main() -> None:
    kind, limits, *paths = sys.argv[1:]
    given = json.loads(limits)
    for name in ("RLIMIT_CORE", "RLIMIT_FSIZE"):
        limit(name, 0)
    limit("RLIMIT_AS", given["memory"])
    limit("RLIMIT_CPU", given["cpu_s"])
    sys.path += paths
    # Everything that decoding may import is imported now: afterwards nothing can be opened any more.
    from recommender.engine.errors import Unreadable

    try:
        read = {"picture": _pictures, "sound": _sounds}[kind](given)
        limit("RLIMIT_NPROC", 0)
        limit("RLIMIT_NOFILE", 0)
        data = sys.stdin.buffer.read()
        result = read(data)
        head, body = {"shape": result.shape, "dtype": result.dtype.str}, result.tobytes()
    except (Unreadable, MemoryError) as error:
        detail = getattr(error, "detail", "")
        if isinstance(error.__cause__ or error, MemoryError):
            detail = "It would take more memory than one upload is given; send a smaller one."
        head, body = {"refused": detail}, b""
    out = sys.stdout.buffer
    out.write(json.dumps(head).encode() + b"\n")
    out.write(body)
    out.flush()


def _pictures(given: dict[str, Any]) -> Callable[[bytes], Any]:
    import copy  # noqa: F401

    # Pillow looks for these when it meets a file that needs them.
    from PIL import (  # noqa: F401
        BmpImagePlugin,
        GifImagePlugin,
        Image,
        ImageCms,
        ImageColor,
        JpegImagePlugin,
        MpoImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    from recommender.engine.data import pictures

    Image._initialized = 2  # or a file of no known kind would have it look for forty more
    return pictures.read


def _sounds(given: dict[str, Any]) -> Callable[[bytes], Any]:
    import soundfile  # noqa: F401  (what `read` imports when it is first needed)

    from recommender.engine.data import sounds

    return partial(sounds.read, longest_s=given["longest_s"])


if __name__ == "__main__":
    main()
