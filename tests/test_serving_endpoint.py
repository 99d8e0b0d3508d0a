"""The row `endpoint`: a server that runs already, checked before it is used."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from errors import EngineError, HearthError
from serving.engines import Endpoint, engine_row
from settings import load_settings
from tests.engine_help import Serve, serving


@pytest.fixture
def serve() -> Iterator[Serve]:
    with serving() as serve:
        yield serve


class OpenAI(BaseHTTPRequestHandler):
    """Lists two models under /v1; wants a key under /keyed/v1; talks nonsense elsewhere."""

    def do_GET(self) -> None:
        path, status, body = self.path, 404, b"<h1>hello</h1>"
        if path.startswith("/page"):
            status = 200
        elif path.startswith("/moved"):
            status = 308
        elif path.endswith("/v1/models"):
            names = [] if path.startswith("/bare/") else ["big-model", "small-model"]
            status, body = 200, json.dumps({"data": [{"id": n} for n in names]}).encode()
        if path.startswith("/keyed") and self.headers.get("authorization") != "Bearer right":
            status, body = 401, b"{}"
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        if status == 308:
            self.send_header("location", "https://new.example/v1/models")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def connect(url: str, said: list[str] | None = None, **more: object) -> Endpoint:
    row = engine_row("endpoint")
    assert row.connect
    settings = load_settings(engine="endpoint", endpoint_url=url, **more)
    return row.connect(settings, (said if said is not None else []).append)


def test_an_endpoint_with_a_named_model(serve: Serve) -> None:
    url = serve(OpenAI)
    for given in (url, f"{url}/v1", f"{url}/v1/"):  # people leave out the /v1
        endpoint = connect(given, model="small-model")
        assert endpoint == Endpoint(f"{url}/v1", "", "small-model", "endpoint", None)


def test_an_endpoint_without_a_named_model_takes_its_first_and_says_so(
    serve: Serve,
) -> None:
    said: list[str] = []
    endpoint = connect(serve(OpenAI), said)
    assert endpoint.model_id == "big-model"
    assert said[0] == endpoint.notice
    assert "server's big-model (the first of 2)" in endpoint.notice


def test_an_endpoint_with_a_key(serve: Serve) -> None:
    url = serve(OpenAI) + "/keyed"
    assert connect(url, endpoint_key="right").api_key == "right"
    with pytest.raises(EngineError, match="refuses the key") as caught:
        connect(url, endpoint_key="sk-wrong")
    assert "HEARTH_ENDPOINT_KEY" in caught.value.fix and "sk-wrong" not in str(caught.value)
    with pytest.raises(EngineError, match="asks for a key"):
        connect(url)


def test_a_password_in_the_address_is_not_shown(serve: Serve) -> None:
    said: list[str] = []
    url = serve(OpenAI).replace("//", "//me:pa55@")
    assert connect(url, said, model="small-model").base_url == f"{url}/v1"
    for path in ("/page", "/bare", "/keyed"):
        with pytest.raises(EngineError) as caught:
            connect(url + path)
        said.append(str(caught.value))
    assert said and "pa55" not in "".join(said)


@pytest.mark.parametrize(
    ("path", "model", "said", "fix"),
    [
        ("", "smal-model", "has no model smal-model", "Did you mean small-model?"),
        ("/page", "tiny", "is no OpenAI-compatible server", "ends in /v1"),
        ("/bare", "tiny", "lists no models", "Load a model"),
        ("/moved", "tiny", r"redirects to https://new\.example/v1/models", "HEARTH_ENDPOINT_URL"),
    ],
)
def test_an_endpoint_that_will_not_do(
    serve: Serve, path: str, model: str, said: str, fix: str
) -> None:
    with pytest.raises(EngineError, match=said) as caught:
        connect(serve(OpenAI) + path, model=model)
    assert fix in caught.value.fix


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://no-such-host.invalid"])
def test_an_endpoint_that_is_not_there(url: str) -> None:
    with pytest.raises(HearthError) as caught:
        connect(url)
    assert (
        "Nothing answers at" in caught.value.message and "HEARTH_ENDPOINT_URL" in caught.value.fix
    )
