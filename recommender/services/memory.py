"""How much memory this process holds, as far as the system tells."""

import resource
import sys
from contextlib import suppress
from pathlib import Path

CLEAR_PEAK = "5"  # what Linux's /proc/self/clear_refs takes to forget the peak of resident memory


def resident_bytes() -> int:
    """Held now; where the system does not say, the most that was ever held."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return _most_ever_bytes()


def peak_bytes() -> int:
    """The most held since `forget_peak`, or since the process began where the system cannot forget."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        return _most_ever_bytes()


def forget_peak() -> None:
    with suppress(OSError):  # not Linux, or not permitted
        Path("/proc/self/clear_refs").write_text(CLEAR_PEAK)


def _most_ever_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes there, kilobytes elsewhere
