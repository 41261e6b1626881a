"""Run a command against a PostgreSQL of its own: `python -m tests.postgres pytest -m database`.

The server listens on a free port, keeps its data in a temporary folder, and is stopped by its process id.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Tests need no data that outlive the machine.
QUICK = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")


def find_binaries() -> Path | None:
    """The folder with initdb and postgres, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def server(binaries: Path, *options: str) -> Iterator[str]:
    """A PostgreSQL on a free port with these further options; its address. Gone afterwards, with all its data."""
    # PostgreSQL refuses to run as root; its Debian package brings a user for it.
    owner = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="recsite-pg-", dir="/tmp"))
    try:
        if owner:
            shutil.chown(folder, owner)
        data = folder / "data"
        initdb = [binaries / "initdb", "--pgdata", data, "--username", "recsite", "--auth", "trust", "--no-sync"]
        subprocess.run([*initdb, "--encoding", "UTF8", "--locale", "C.UTF-8"], check=True, user=owner, cwd=folder,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        here = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
        with (folder / "log").open("wb") as log:
            running = subprocess.Popen(
                [binaries / "postgres", "-D", data, *here, *options], user=owner, cwd=folder, stdout=log, stderr=log
            )
        try:
            _wait_until_ready(binaries, port, running, folder / "log")
            yield f"postgresql://recsite@127.0.0.1:{port}/postgres"
        finally:
            running.send_signal(signal.SIGINT)  # do not wait for whoever is still connected
            running.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(command: list[str]) -> int:
    binaries = find_binaries()
    if binaries is None:
        print("Skipped: no PostgreSQL is installed here (Debian: apt-get install postgresql).")
        return 0
    with server(binaries, *QUICK) as url:
        return subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, check=False).returncode


def _wait_until_ready(binaries: Path, port: int, running: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 30
    ready = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ready, check=False).returncode != 0:
        if running.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"PostgreSQL did not start:\n{log.read_text()}")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
