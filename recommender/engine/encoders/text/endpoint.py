"""Any OpenAI-compatible embeddings API: POST {url} {"model": ..., "input": [texts]} -> {"data": [{"index", "embedding"}
...], "usage": {"total_tokens"}}. Ollama, vLLM, LocalAI and text-embeddings-inference speak it on one's own machine.

The shop's texts, and what shoppers type, leave this machine for `url`. One query takes a round trip; nothing is cached.
"""

import json
import math
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.vectors import unit
from recommender.engine.encoders import Arrays, Opened
from recommender.engine.encoders.settings import check
from recommender.engine.encoders.text.words import clean, words
from recommender.engine.errors import EndpointFailed, InvalidConfig
from recommender.engine.options import Options

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # between two tries; twice as long each time
MAX_ANSWER_BYTES = 256 * 2**20
PROBE = "a lamp"


@dataclass(frozen=True)
class EndpointConfig:
    url: str = ""
    """The whole address, as https://api.example.com/v1/embeddings."""
    model: str = ""
    """The model's name there."""
    key_variable: str = ""
    """Name of the environment variable that holds the key; none where the API wants none. Never the key itself."""
    dimension: int = 0
    """D, which is asked for where it is set; 0 takes what the model gives."""
    batch: int = 64
    """Texts in one request."""
    characters: int = 8000
    """Of a text that are sent, the first: about 2,000 tokens."""
    timeout_s: float = 10.0
    """For each try."""
    tries: int = 4
    """For each request, where the other side is busy (429), ill (5xx) or silent."""
    budget_requests: int = 0
    """Requests, tries among them, that one process makes of this encoder at most; 0: no end."""
    budget_tokens: int = 0
    """Tokens, as the other side counts them, after which one process asks no more; 0: no end."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if self.url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise InvalidConfig(f"url {self.url!r} must begin with https:// or http:// and name a host.")
        if parts.username or parts.password:
            raise InvalidConfig("url must hold no name and no password; name a variable in key_variable.")
        if self.key_variable and not re.fullmatch(r"[A-Za-z_]\w*", self.key_variable, re.ASCII):
            raise InvalidConfig("key_variable must be the name of an environment variable, not the key.")
        check("dimension", self.dimension, 0, 65_536, whole=True)
        check("batch", self.batch, 1, 2048, whole=True)
        check("characters", self.characters, 1, 10**6, whole=True)
        check("timeout_s", self.timeout_s, 0.01, 3600)
        check("tries", self.tries, 1, 20, whole=True)
        check("budget_requests", self.budget_requests, 0, whole=True)
        check("budget_tokens", self.budget_tokens, 0, whole=True)


class Endpoint:
    """Thread-safe. `encode` raises EndpointFailed, unlike other encoders: an answer that did not come is no zero."""

    def __init__(self, config: EndpointConfig, dimension: int, sleep: Callable[[float], None] = time.sleep) -> None:
        self.config, self.dimension, self._sleep = config, dimension, sleep
        self._spent = {"requests": 0, "tokens": 0}
        self._lock = threading.Lock()

    def encode(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        found = np.zeros((len(inputs), self.dimension), dtype=np.float32)
        speaking = [row for row, text in enumerate(inputs) if words(text)]
        for start in range(0, len(speaking), self.config.batch):
            rows = speaking[start : start + self.config.batch]
            found[rows] = self.ask([clean(inputs[row][: self.config.characters]) for row in rows])
        return unit(found)

    def ask(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One request: float32 (B, D). Raises EndpointFailed."""
        config = self.config
        said: dict[str, Any] = {"model": config.model, "input": list(texts), "encoding_format": "float"}
        if config.dimension:
            said["dimensions"] = config.dimension
        answer = self._tried(json.dumps(said).encode())
        try:
            with np.errstate(over="ignore"):
                rows = {int(one["index"]): np.array(one["embedding"], dtype=np.float32) for one in answer["data"]}
            with self._lock:
                self._spent["tokens"] += int((answer.get("usage") or {}).get("total_tokens") or 0)
            found = np.stack([rows[row] for row in range(len(texts))])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EndpointFailed(
                f"{config.url}: {len(texts)} texts were sent, and the answer does not give a vector for each."
            ) from error
        if len(rows) != len(texts) or found.ndim != 2 or (self.dimension and found.shape[1] != self.dimension):
            raise EndpointFailed(
                f"{config.url}: vectors {found.shape} came, where ({len(texts)}, {self.dimension}) was expected."
            )
        if not np.isfinite(found).all():
            raise EndpointFailed(f"{config.url}: a vector holds something that is no number.")
        return found

    def _tried(self, body: bytes) -> Any:
        """The JSON that comes back, after as many tries as are allowed."""
        reason = ""
        for number in range(self.config.tries):
            self._count()
            wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**number)
            try:
                return self._sent(body)
            except urllib.error.HTTPError as error:
                with error:
                    reason = f"HTTP {error.code} {error.reason}"
                    if error.code != 429 and error.code < 500:
                        raise EndpointFailed(f"{self.config.url}: {reason}. {_told(error)}".strip()) from error
                    wait = _retry_after(error.headers.get("Retry-After")) or wait
            except OSError as error:  # refused, reset, or silent for longer than timeout_s
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            except (ValueError, HTTPException) as error:
                reason = f"no JSON ({error})"
            if wait > LONGEST_WAIT_S:
                raise EndpointFailed(f"{self.config.url}: {reason}, and asks to wait for {wait:.0f} s.")
            if number + 1 < self.config.tries:
                self._sleep(wait)
        raise EndpointFailed(f"{self.config.url}: {reason}, {self.config.tries} times.")

    def _sent(self, body: bytes) -> Any:
        request = urllib.request.Request(self.config.url, body, {"Content-Type": "application/json"})  # noqa: S310
        if self.config.key_variable:
            # Not passed on where the other side redirects to.
            request.add_unredirected_header("Authorization", f"Bearer {_key(self.config.key_variable)}")
        end, content = time.monotonic() + self.config.timeout_s, bytearray()
        with _OPENER.open(request, timeout=self.config.timeout_s) as answer:
            while part := answer.read1(2**16):
                content += part
                if len(content) > MAX_ANSWER_BYTES:
                    raise EndpointFailed(f"{self.config.url}: an answer of more than {MAX_ANSWER_BYTES // 2**20} MiB.")
                if time.monotonic() > end:  # the socket's own limit begins anew with each byte
                    raise TimeoutError("timed out")
        return json.loads(content)

    def _count(self) -> None:
        """Raises EndpointFailed where the budget is spent."""
        with self._lock:
            for name, most in (("requests", self.config.budget_requests), ("tokens", self.config.budget_tokens)):
                if most and self._spent[name] >= most:
                    raise EndpointFailed(f"The budget of {most:,} {name} is spent; raise budget_{name} for more.")
            self._spent["requests"] += 1


class EndpointEncoder:
    modality: ClassVar[str] = "text"
    Config = EndpointConfig

    @staticmethod
    def fit(inputs: Sequence[str], config: EndpointConfig, options: Options) -> Arrays:
        """`dimension` int64 (1,), learned from one request. Raises InvalidConfig, EndpointFailed."""
        if not config.url:
            raise InvalidConfig("Set `url` to the address of an embeddings API.")
        options.progress(0.0, f"asking {urlsplit(config.url).hostname}")
        dimension = Endpoint(config, config.dimension).ask([PROBE]).shape[1]
        return {"dimension": np.array([dimension])}

    @staticmethod
    def open(arrays: Arrays, config: EndpointConfig) -> Opened:
        return Endpoint(config, int(arrays["dimension"][0]))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects are not followed: a POST would become a GET, and the texts might go anywhere."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _key(variable: str) -> str:
    key = os.environ.get(variable, "")
    if not key:
        raise EndpointFailed(f"The environment variable {variable} is not set.")
    return key


def _retry_after(value: str | None) -> float:
    """Seconds that the header asks for, as a number or as a date; 0 where it says nothing of use."""
    if not value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def _told(error: urllib.error.HTTPError) -> str:
    """What the other side says about it, shortened."""
    try:
        said = json.loads(error.read(10_000))["error"]
        return str(said["message"] if isinstance(said, dict) else said)[:200]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
