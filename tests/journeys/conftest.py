"""A real site for real browsers: `manage.py up` over a small Folio, with its own Redis, worker, beat and web server."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).parent.parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
SMALL_FOLIO = """
import django; django.setup()
from recommender.folio import catalogue
from recommender.services import demo
demo.seed(products=catalogue.products()[::6], shopper_count=200, event_count=10_000)
demo.create_staff_login()
"""
START_WITHIN_S = 120.0
QUICK_ENCODERS = {
    "text": {"name": "hashing"},
    "image": {"name": "contrastive", "config": {"steps": 4, "batch": 16, "size": 32, "width": 4, "depth": 1}},
    "audio": {"name": "mfcc"},
}


@dataclass(frozen=True)
class Site:
    url: str
    var: Path
    log: Path
    environment: dict[str, str]

    def manage(self, program: str) -> str:
        """What a short Django program prints, run against this site's database."""
        done = subprocess.run(
            [sys.executable, "manage.py", "shell", "--no-imports", "-c", program],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, seeded, started and with its first model live."""
    var = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "RECSITE_VAR": str(var), "DJANGO_SETTINGS_MODULE": "recsite.settings"}
    environment["ENCODERS"] = json.dumps(QUICK_ENCODERS)
    for name in ("DATABASE_URL", "REDIS_URL"):
        environment.pop(name, None)
    python = [sys.executable]
    quiet = {"cwd": ROOT, "env": environment, "check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([*python, "manage.py", "migrate", "--verbosity", "0"], **quiet)
    subprocess.run([*python, "-c", SMALL_FOLIO], **quiet)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = var / "up.log"
    with log.open("wb") as output:
        started = subprocess.Popen(
            [*python, "-u", "manage.py", "up", "--shop", "empty", "--port", str(port)],
            cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_WITHIN_S
        while "Ready after" not in log.read_text(errors="replace"):
            if started.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The site did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.2)
        yield Site(f"http://localhost:{port}", var, log, environment)
    finally:
        started.send_signal(signal.SIGINT)
        try:
            started.wait(40)
        finally:
            with contextlib.suppress(ProcessLookupError):
                started.kill()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://localhost:{port}/", timeout=2)


@pytest.fixture(scope="package")  # while it lives, a loop runs in this thread, where Django then opens no database
def browser() -> Iterator[Browser]:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed here (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator["Visit"]:
    """Opens contexts that fail the test on any console error, page error, or request that leaves the site."""
    visit = Visit(browser, site)
    yield visit
    visit.close()
    assert not visit.complaints


class Visit:
    def __init__(self, browser: Browser, site: Site) -> None:
        self.browser, self.site = browser, site
        self.contexts: list[BrowserContext] = []
        self.complaints: list[str] = []

    def __call__(self, **options: object) -> Page:
        """A new visitor's page."""
        context = self.browser.new_context(base_url=self.site.url, **options)  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        self.contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("console", lambda m: self.complaints.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("request", self._stays_here)
        return page

    def _stays_here(self, request: object) -> None:
        url: str = request.url  # type: ignore[attr-defined]
        if not url.startswith((self.site.url, "data:", "blob:")):
            self.complaints.append(f"leaves the site: {url}")

    def close(self) -> None:
        for context in self.contexts:
            context.close()
