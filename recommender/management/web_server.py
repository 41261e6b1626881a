"""The web server's command, for `manage.py up`, tests and benchmarks; docker/Dockerfile repeats it."""

import sys

# Of a process, well above WEB_IN_WORK + WEB_IN_LINE: whoever finds no thread waits where nobody turns him away. Each
# may come to keep a database connection, and PostgreSQL allows 100 unless told otherwise.
THREADS = 32


def command(host: str, port: int, workers: int) -> list[str]:
    where = ["--interface", "wsgi", "--host", host, "--port", str(port), "--workers", str(workers)]
    tuning = ["--blocking-threads", str(THREADS), "--no-ws", "--respawn-failed-workers"]
    return [sys.executable, "-m", "recsite.web", *where, *tuning, "recsite.wsgi:application"]
