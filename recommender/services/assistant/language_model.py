"""An OpenAI-compatible endpoint that plans with a few read-only tools and phrases the answer; streamed, limited.

What the shop holds is data to it: titles and descriptions reach it as JSON in tool answers, never as part of its
instructions, and nothing it writes is more than text. It can call the tools it was given and no others. Which items
stand under an answer is not its decision, see conversation.py.
"""

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recommender.conf import LanguageModel
from recommender.engine.errors import RecommenderError

MAX_ANSWER_BYTES = 200_000  # of one streamed answer
CHARACTERS_A_TOKEN = 4  # a cautious guess where the endpoint does not count for us
AT_ONCE = 4  # conversations of one process; each holds a thread of the web server while it streams


class NoAnswer(RecommenderError):
    """The language model did not answer."""


@dataclass(frozen=True)
class Tool:
    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of its arguments."""
    call: Callable[[Mapping[str, Any]], Any]
    """Gives JSON. What it raises is told to the model as an error, in words."""

    def described(self) -> dict[str, Any]:
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}


class Budget:
    """Tokens used since midnight, by this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._day, self._used = -1, 0

    def allows(self, limit: int) -> bool:
        with self._lock:
            return self._today() < limit

    def spend(self, tokens: int) -> None:
        with self._lock:
            self._used = self._today() + tokens

    def _today(self) -> int:
        day = int(time.time() // 86_400)
        if day != self._day:
            self._day, self._used = day, 0
        return self._used


budget = Budget()
_places = threading.BoundedSemaphore(AT_ONCE)


def answer(messages: Sequence[Mapping[str, Any]], tools: Sequence[Tool], config: LanguageModel) -> Iterator[str]:
    """Pieces of the answer as they come. Raises NoAnswer, before the first piece or after any."""
    if not budget.allows(config.tokens_a_day):
        raise NoAnswer("Today's budget of tokens is used up.")
    if not _places.acquire(blocking=False):
        raise NoAnswer("It is busy.")
    try:
        yield from _steps(list(messages), tools, config)
    except (AttributeError, TypeError, ValueError) as error:  # JSON, but not of the form that was agreed on
        raise NoAnswer(f"What it sent makes no sense: {type(error).__name__}.") from error
    finally:
        _places.release()


def _steps(messages: list[Mapping[str, Any]], tools: Sequence[Tool], config: LanguageModel) -> Iterator[str]:
    deadline = time.monotonic() + config.timeout_s
    allowed = {tool.name: tool for tool in tools}
    for step in range(config.steps):
        calls: dict[int, dict[str, Any]] = {}
        said = ""
        for delta in _stream(messages, tools if step < config.steps - 1 else (), config, deadline):
            if text := delta.get("content"):
                said += str(text)
                yield str(text)
            for part in delta.get("tool_calls") or ():
                function = {"name": "", "arguments": ""}
                call = calls.setdefault(int(part.get("index", 0)), {"id": "", "type": "function", "function": function})
                call["id"] = part.get("id") or call["id"]
                for name, value in (part.get("function") or {}).items():
                    if name in call["function"]:
                        call["function"][name] += value or ""
        if not calls:
            if not said.strip():
                raise NoAnswer("It said nothing.")
            return
        messages.append({"role": "assistant", "content": said or None, "tool_calls": list(calls.values())})
        for call in calls.values():
            function = call["function"]
            found = _called(allowed.get(function["name"]), function["arguments"])
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(found)})
    raise NoAnswer("It did not come to an end.")


def _called(tool: Tool | None, arguments: str) -> Any:
    if tool is None:
        return {"error": "There is no such tool."}
    try:
        given = json.loads(arguments or "{}")
        return tool.call(given if isinstance(given, dict) else {})
    except (ValueError, RecursionError):
        return {"error": "The arguments are not JSON."}
    except RecommenderError as error:
        return {"error": error.message}


def _stream(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Tool], config: LanguageModel, deadline: float
) -> Iterator[Mapping[str, Any]]:
    """The deltas of one request."""
    body: dict[str, Any] = {
        "model": config.model,
        "messages": list(messages),
        "max_tokens": config.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if tools:
        body["tools"] = [tool.described() for tool in tools]
    data = json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    if config.key_variable:
        headers["Authorization"] = f"Bearer {os.environ.get(config.key_variable, '')}"
    request = urllib.request.Request(f"{config.url.rstrip('/')}/chat/completions", data, headers)  # noqa: S310  conf checks the scheme
    read, counted = 0, 0
    try:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise NoAnswer(f"It took longer than {config.timeout_s:g} s.")
        with urllib.request.urlopen(request, timeout=left_s) as response:  # noqa: S310
            for line in response:
                read += len(line)
                if time.monotonic() > deadline or read > MAX_ANSWER_BYTES:
                    raise NoAnswer("It took too long, or said too much.")
                if not line.startswith(b"data:"):
                    continue
                text = line[5:].strip()
                if text == b"[DONE]":
                    break
                event = json.loads(text)
                counted = (event.get("usage") or {}).get("total_tokens") or counted
                for choice in event.get("choices") or ():
                    yield choice.get("delta") or {}
    except urllib.error.HTTPError as error:
        raise NoAnswer(f"The endpoint answered {error.code}.") from error
    except OSError as error:
        raise NoAnswer(f"The endpoint cannot be reached: {type(error).__name__}.") from error
    finally:
        budget.spend(counted or (len(data) + read) // CHARACTERS_A_TOKEN)
