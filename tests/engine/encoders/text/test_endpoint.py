"""Against a real server that misbehaves."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from recommender.engine.encoders import make_config
from recommender.engine.encoders.text.endpoint import Endpoint, EndpointEncoder, _retry_after
from recommender.engine.encoders.text.hashing import Hashing, HashingConfig
from recommender.engine.errors import EndpointFailed, InvalidConfig
from recommender.engine.options import Options
from tests.engine.encoders.text.contract import TEXTS, TextContract

Faults = list[Any]


class Server(ThreadingHTTPServer):
    """Gives the vectors of `hashing`, 16 long; but first, whatever `faults` holds, one for each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: Faults = []
        self.seen: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1/embeddings"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append({**said, "key": self.headers.get("Authorization")})
        vectors = Hashing(HashingConfig(dimension=16)).encode(said["input"])
        data = [{"index": row, "embedding": vector.tolist()} for row, vector in enumerate(vectors)][::-1]
        answer: Any = {"data": data, "usage": {"total_tokens": 10 * len(data)}}
        status, headers = 200, {}
        fault = self.server.faults.pop(0) if self.server.faults else None
        if isinstance(fault, tuple):
            status, headers = fault
            answer = {"error": {"message": "no luck today"}}
        elif fault == "fewer":
            answer["data"].pop()
        elif fault == "nan":
            answer["data"][0]["embedding"][3] = float("nan")
        elif fault == "longer":
            answer["data"] = [{**one, "embedding": [*one["embedding"], 1.0]} for one in data]
        elif fault == "ragged":
            answer["data"][0]["embedding"].pop()
        elif fault == "silence":
            time.sleep(0.4)
        elif fault is not None:
            answer = fault
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            pass  # the client has gone


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(running: Server) -> Server:
    running.faults.clear()
    running.seen.clear()
    return running


class TestEndpoint(TextContract):
    name = "endpoint"

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls, running: Server) -> dict[str, Any]:
        return {"url": running.url, "model": "tiny", "batch": 3}


def opened(server: Server, waits: list[float] | None = None, **settings: Any) -> Endpoint:
    config = make_config("text", "endpoint", {"url": server.url, "model": "tiny", **settings})
    return Endpoint(config, 16, ([] if waits is None else waits).append)


def test_texts_go_in_batches_and_silent_ones_not_at_all(server: Server) -> None:
    found = opened(server, batch=3).encode([*TEXTS[:4], "", *TEXTS[4:]])
    assert [len(request["input"]) for request in server.seen] == [3, 3, 1]
    assert server.seen[0]["model"] == "tiny" and server.seen[0]["key"] is None
    assert not found[4].any()
    expected = Hashing(HashingConfig(dimension=16)).encode(TEXTS)
    np.testing.assert_allclose(np.delete(found, 4, axis=0), expected, atol=1e-6)


def test_it_waits_as_long_as_it_is_asked_to_and_tries_again(server: Server) -> None:
    waits: list[float] = []
    server.faults += [(429, {"Retry-After": "7"}), (500, {}), (503, {"Retry-After": "soon"})]
    assert opened(server, waits).encode(["a lamp"]).any()
    assert waits == [7.0, 1.0, 2.0]


def test_it_gives_up_in_the_end(server: Server) -> None:
    server.faults += [(500, {})] * 9
    with pytest.raises(EndpointFailed, match="HTTP 500 Internal Server Error, 4 times"):
        opened(server).encode(["a lamp"])
    assert len(server.seen) == 4
    server.faults[:] = [(429, {"Retry-After": "3600"})]
    with pytest.raises(EndpointFailed, match="asks to wait for 3600 s"):
        opened(server).encode(["a lamp"])


@pytest.mark.parametrize("status", [400, 401, 404, 307])
def test_a_refusal_is_not_tried_again_and_a_redirect_not_followed(server: Server, status: int) -> None:
    server.faults.append((status, {"Location": "http://127.0.0.1:9/"}))
    with pytest.raises(EndpointFailed, match=f"HTTP {status}.*no luck today"):
        opened(server).encode(["a lamp"])
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("fewer", "does not give a vector for each"),
        ("ragged", "does not give a vector for each"),
        ("nan", "no number"),
        ("longer", r"\(2, 16\) was expected"),
        ({"data": [{"index": 0, "embedding": "x"}]}, "does not give a vector for each"),
        ({"data": None}, "does not give a vector for each"),
        ([1, 2], "does not give a vector for each"),
    ],
    ids=str,
)
def test_an_answer_that_makes_no_sense(server: Server, fault: Any, complaint: str) -> None:
    server.faults.append(fault)
    with pytest.raises(EndpointFailed, match=complaint):
        opened(server).encode(["a lamp", "a mug"])


def test_silence_and_nonsense_are_tried_again(server: Server) -> None:
    server.faults += ["silence", b"<html>"]
    assert opened(server, timeout_s=0.1).encode(["a lamp"]).any()
    assert len(server.seen) == 3


def test_nobody_there() -> None:
    config = make_config("text", "endpoint", {"url": "http://127.0.0.1:9/v1/embeddings", "tries": 2})
    with pytest.raises(EndpointFailed, match="refused, 2 times"):
        Endpoint(config, 16, lambda seconds: None).encode(["a lamp"])


def test_the_budget_ends_it(server: Server) -> None:
    asking = opened(server, budget_requests=2, batch=1)
    with pytest.raises(EndpointFailed, match="budget of 2 requests is spent"):
        asking.encode(TEXTS)
    assert len(server.seen) == 2
    asking = opened(server, budget_tokens=25, batch=2)
    asking.encode(TEXTS[:4])
    with pytest.raises(EndpointFailed, match="budget of 25 tokens is spent"):
        asking.encode(TEXTS[:1])


def test_the_key_is_read_when_it_is_needed_and_never_kept(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    asking = opened(server, key_variable="SHOP_EMBEDDINGS_KEY")
    with pytest.raises(EndpointFailed, match="SHOP_EMBEDDINGS_KEY is not set"):
        asking.encode(["a lamp"])
    monkeypatch.setenv("SHOP_EMBEDDINGS_KEY", "s3cret")
    asking.encode(["a lamp"])
    assert server.seen[-1]["key"] == "Bearer s3cret"
    assert "s3cret" not in repr(vars(asking))


def test_a_dimension_is_asked_for(server: Server) -> None:
    opened(server, dimension=16).encode(["a lamp"])
    assert server.seen[-1]["dimensions"] == 16
    config = make_config("text", "endpoint", {"url": server.url, "dimension": 8})
    with pytest.raises(EndpointFailed, match=r"\(1, 8\) was expected"):
        EndpointEncoder.fit([], config, Options())


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"url": "file:///etc/passwd"}, "https://"),
        ({"url": "embeddings"}, "https://"),
        ({"url": "https://me:secret@example.com/"}, "no password"),
        ({"key_variable": "sk-abcdef"}, "not the key"),
        ({"batch": 0}, "batch"),
        ({"timeout_s": 0}, "timeout_s"),
    ],
)
def test_settings_are_checked(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidConfig, match=complaint):
        make_config("text", "endpoint", values)
    with pytest.raises(InvalidConfig, match="Set `url`"):
        EndpointEncoder.fit([], make_config("text", "endpoint", {}), Options())


def test_retry_after_may_be_a_date() -> None:
    assert _retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert _retry_after("Fri, 21 Oct 2950 07:28:00 GMT") > 1e9
    assert _retry_after("nan") == _retry_after(None) == _retry_after("-3") == 0
