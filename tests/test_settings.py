"""Settings: where a value comes from, and what a wrong one says."""

from pathlib import Path

import pytest
import typer
from pydantic import SecretStr
from typer.testing import CliRunner

from errors import SettingsError
from settings import ROOT, Settings, add_options, env_example, load_settings


def test_order_of_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def port(**given: object) -> int:
        return load_settings(tmp_path, **given).port

    assert port() == 7860
    (tmp_path / "hearth.toml").write_text("port = 7001\n")
    assert port() == 7001
    (tmp_path / ".env").write_text("HEARTH_PORT=7002\n")
    assert port() == 7002
    monkeypatch.setenv("HEARTH_PORT", "7003")
    assert port() == 7003
    assert port(port=7004) == 7004
    assert port(port=None) == 7003, "an option not given doesn't count"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"port": 99999}, ["port", "99999", "65535"]),
        ({"engine": "warp"}, ["engine", "'transformers'", "'warp'"]),
        ({"engine": "endpoint"}, ["endpoint_url", "name the server"]),
        ({"endpoint_url": "localhost:8000"}, ["endpoint_url", "http://"]),
        ({"max_steps": 0}, ["max_steps"]),
        ({"temprature": 0.5}, ["temprature", "temperature"]),
        ({"vision_model": "qwen-vl"}, ["vision_url"]),
        ({"search_backends": "ddgs,searxng"}, ["searxng_url"]),
        ({"search_backends": "brave"}, ["brave_api_key"]),
        ({"search_backends": "ddgs,google"}, ["search_backends", "`auto`", "tavily"]),
        ({"search_backends": "ddgs, ddgs"}, ["search_backends", "each once"]),
        ({"search_backend": "ddgs"}, ["search_backend", "Did you mean search_backends"]),
        ({"web_allow": "http://localhost"}, ["web_allow", "http:"]),
        ({"web_allow": "10.0.0.0/64"}, ["web_allow", "10.0.0.0/64"]),
        ({"host": ""}, ["host"]),
        ({"endpoint_url": "http://"}, ["endpoint_url", "http://"]),
        ({"endpoint_url": "http://[::1"}, ["endpoint_url"]),
        ({"endpoint_url": "http://localhost:99999"}, ["endpoint_url", "0-65535"]),
        ({"data_dir": "~nobody-of-this-name/x"}, ["data_dir", "home directory"]),
        ({"sandbox": "off"}, ["sandbox", "'landlock'", "'unconfined'", "'off'"]),
        ({"sandbox": "Unconfined"}, ["sandbox", "'Unconfined'"]),
        ({"sandbox_imports": "numpy,os.path"}, ["sandbox_imports", "`all`", "os.path"]),
        ({"sandbox_imports": ""}, ["sandbox_imports", "`all`"]),
        ({"sandbox_install": "ask,seaborn"}, ["sandbox_install", "`ask` or `never`"]),
        ({"sandbox_install": "../x"}, ["sandbox_install", "../x"]),
        ({"workspace_mb": 1}, ["workspace_mb"]),
        ({"run_timeout_seconds": "inf"}, ["run_timeout_seconds", "finite"]),
        ({"step_timeout_seconds": 1e9}, ["step_timeout_seconds", "604800"]),
    ],
)
def test_impossible_values_name_the_field(
    tmp_path: Path, given: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, **given)
    for word in [*words, ".env.example"]:
        assert word in str(caught.value)


def test_unknown_names_are_errors_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("HEARTH_PROT=1\n")
    with pytest.raises(SettingsError, match="port"):
        load_settings(tmp_path)
    (tmp_path / ".env").unlink()
    (tmp_path / "hearth.toml").write_text("prot = 1\n")
    with pytest.raises(SettingsError, match="port"):
        load_settings(tmp_path)
    (tmp_path / "hearth.toml").unlink()
    monkeypatch.setenv("HEARTH_PROT", "1")
    with pytest.raises(SettingsError, match="HEARTH_PORT"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("hearth.toml", b"port = = 1"),
        ("hearth.toml", b"\xff\xfe\x00"),
        (".env", b"HEARTH_PORT=many\n"),
        (".env", b"\xff\xfe\x00\x01"),
    ],
)
def test_broken_files_are_one_clear_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("line", ["HEARTH_PORT 7001", "HEARTH_PORT", 'HEARTH_PORT="7001', "= 1"])
def test_a_line_that_can_not_be_read_is_never_passed_over(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"# mine\nHEARTH_MODEL=tiny\n{line}\n")
    with pytest.raises(SettingsError, match=r"Line 3 of \.env") as caught:
        load_settings(tmp_path)
    assert "7001" not in str(caught.value), "a line may hold a key"


def test_every_setting_but_a_key_is_an_option(tmp_path: Path) -> None:
    seen: list[Settings] = []

    def command(task: str = "", **given: str | None) -> None:
        seen.append(load_settings(tmp_path, **given))

    app = typer.Typer()
    app.command()(add_options(command))
    arguments = ["--max-steps", "3", "--data-dir", str(tmp_path), "--temperature", "0.5"]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    assert (seen[0].max_steps, seen[0].data_dir, seen[0].temperature) == (3, tmp_path, 0.5)
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    missing = {n for n in Settings.model_fields if f"--{n.replace('_', '-')}" not in shown}
    keys = {n for n, info in Settings.model_fields.items() if info.annotation is SecretStr}
    assert {"endpoint_key", "serper_api_key"} <= keys
    assert missing == keys | {"mcp", "endpoints"}, "tables hold keys too"


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, endpoint_key="sk-secret-123")
    assert "sk-secret-123" not in repr(settings) + str(settings.model_dump())
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, endpoint_key=["sk-secret-123"])
    assert "sk-secret-123" not in str(caught.value)


@pytest.mark.parametrize("key", ["sk-secret\n123", "sk-secret 123", "sk-…secret"])
@pytest.mark.parametrize(
    "where", ["endpoint_key", "brave_api_key", "openai_key", "env", "endpoints", "mcp"]
)
def test_a_key_that_can_not_be_sent_is_not_shown_either(
    key: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    given: dict[str, object] = {where: key}
    if where == "env":
        given = {"openai_key": "env:MY_KEY"}
    elif where == "endpoints":
        given = {"endpoints": {"x": {"url": "http://x", "key": key}}}
    elif where == "mcp":  # headers may have spaces
        given = {"mcp": {"x": {"url": "http://x", "headers": {"a": key.replace(" ", "\n")}}}}
    with pytest.raises(SettingsError, match="a line end") as caught:
        load_settings(tmp_path, **given)
    assert "secret" not in str(caught.value)


def test_a_password_in_an_address_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="endpoint_url") as caught:
        load_settings(tmp_path, endpoint_url="ftp://me:secret@host")
    assert "secret" not in str(caught.value)


def test_white_space_around_a_key_is_no_part_of_it(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, endpoint_key=" sk-secret-123\n")
    assert settings.endpoint_key.get_secret_value() == "sk-secret-123"


def test_every_field_has_a_sentence() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description and field.description.endswith("."), name


def test_env_example_is_what_settings_say(tmp_path: Path) -> None:
    assert (ROOT / ".env.example").read_text() == env_example(), "run: make env-example"
    uncommented = [
        line.removeprefix("#") for line in env_example().splitlines() if line.startswith("#HEARTH_")
    ]
    (tmp_path / ".env").write_text("\n".join(uncommented))
    assert load_settings(tmp_path) == load_settings(tmp_path / "nowhere"), "defaults, written out"
