"""A shop by the sea, and an endpoint that says what a test puts into its mouth."""

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from recommender.models import Category, Item
from recommender.services.assistant import language_model


@pytest.fixture
def shop(db: None) -> None:
    for slug in ("books", "prints"):
        Category.objects.create(slug=slug, name=slug.capitalize())
    rows = [
        ("tide", "The Tide", "books", "12.00", 3, "A novel of the sea and its weather."),
        ("harbour", "Harbour at dawn", "prints", "25.00", None, "The sea in blue, boats at rest."),
        ("storm", "Storm over the sea", "prints", "60.00", 2, "Waves and dark clouds at sea."),
        ("wreck", "The Wreck", "books", "9.00", 0, "A ship is lost at sea. Sold out."),
        ("alps", "The Alps", "books", "15.00", 5, "Mountains, snow, and long walks."),
        ("hidden", "The hidden sea", "books", "5.00", 5, "A sea that nobody sells."),
    ]
    for item_id, title, category, price, stock, description in rows:
        Item.objects.create(
            id=item_id, title=title, category_id=category, price=Decimal(price), stock=stock, description=description,
            active=item_id != "hidden",
        )  # fmt: skip


class Endpoint:
    """Answers each request with the next of `script`: text, tool calls, or a status code; keeps what it was asked."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                endpoint.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                endpoint.keys.append(self.headers["Authorization"])
                turn = endpoint.script.pop(0)
                if isinstance(turn, int):
                    self.send_error(turn)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                if isinstance(turn, bytes):
                    self.wfile.write(turn)
                    return
                for delta in turn:
                    self.wfile.write(f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\n".encode())
                self.wfile.write(b'data: {"choices": [], "usage": {"total_tokens": 100}}\n\ndata: [DONE]\n\n')

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def says(self, *pieces: str) -> None:
        self.script.append([{"content": piece} for piece in pieces])

    def calls(self, name: str, arguments: str) -> None:
        """A tool call in two deltas, as endpoints stream them."""
        first = {"index": 0, "id": "call-1", "function": {"name": name, "arguments": arguments[:5]}}
        self.script.append(
            [{"tool_calls": [first]}, {"tool_calls": [{"index": 0, "function": {"arguments": arguments[5:]}}]}]
        )


@pytest.fixture
def endpoint(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    made = Endpoint()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("TEST_KEY", "secret")
    monkeypatch.setattr(language_model, "budget", language_model.Budget())
    model = {"url": made.url, "model": "tiny", "key_variable": "TEST_KEY", "timeout_s": 5}
    settings.RECOMMENDER = {**settings.RECOMMENDER, "assistant": model}
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()
