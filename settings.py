"""Every setting, in one place, with a sentence each.

A value is taken from the first of these that has it: the command line, the environment
(`HEARTH_…`), the file `.env`, the file `hearth.toml`, the default below. A name nobody
knows and a value that can't be are errors that name the field; nothing is ignored.
"""

import difflib
import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv.parser import parse_stream
from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from errors import SettingsError

ROOT = Path(__file__).resolve().parent
PREFIX = "HEARTH_"
BUNDLED_MODEL = "tiny"
# Waits much longer than this overflow the system's clocks.
A_WEEK = 7 * 24 * 3600


class Settings(BaseSettings):
    """The settings of one Hearth. Build it with `load_settings`, which words the errors."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        toml_file="hearth.toml",
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
    )

    # The model and its engine
    model: str = Field(
        BUNDLED_MODEL,
        min_length=1,
        description="The model: `tiny` (the bundled one), a folder, or a Hugging Face model id.",
    )
    engine: Literal["auto", "transformers", "vllm", "endpoint"] = Field(
        "auto",
        description="Where the model runs: `transformers` or `vllm` (local servers that Hearth "
        "starts), `endpoint` (a server you name), or `auto` (endpoint if its address is set, vLLM "
        "where it is installed for an NVIDIA GPU and suits the model, else transformers).",
    )
    endpoint_url: str = Field(
        "",
        description="Address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1.",
    )
    endpoint_key: SecretStr = Field(
        SecretStr(""), description="The key that the endpoint asks for; never logged."
    )
    engine_port: int = Field(
        0, ge=0, le=65535, description="Port of the local engine on loopback; 0 takes a free one."
    )
    engine_start_timeout_seconds: float = Field(
        900,
        gt=0,
        le=A_WEEK,
        description="How long a local engine may take until it answers, in seconds.",
    )
    quantize: Literal["auto", "none", "nf4"] = Field(
        "auto",
        description="4-bit weights in the transformers engine: `auto` uses NF4 where CUDA is "
        "there and the model is not the bundled one.",
    )

    # Generation; empty means: what the model's family recommends
    family: str = Field(
        "",
        description="How to talk to the model, such as `r1-distill` or `qwen3-no-thinking` "
        "(`python -m serving families` lists them); empty goes by the model's name.",
    )
    temperature: float | None = Field(
        None, ge=0, le=2, description="Sampling temperature; empty takes the model family's."
    )
    top_p: float | None = Field(
        None, gt=0, le=1, description="Nucleus sampling mass; empty takes the model family's."
    )
    max_tokens: int | None = Field(
        None, ge=16, description="Most tokens in one reply; empty takes the model family's."
    )
    thinking_tokens: int | None = Field(
        None,
        ge=0,
        description="Most tokens of thinking in one reply, of which a quarter is always left to "
        "act; empty takes the model family's.",
    )
    request_timeout_seconds: float = Field(
        600, gt=0, le=A_WEEK, description="How long one reply may take, in seconds."
    )

    # A run and its limits
    max_steps: int = Field(8, ge=1, le=100, description="Most steps in one run.")
    run_timeout_seconds: float = Field(
        1800, gt=0, le=A_WEEK, description="How long a whole run may take, in seconds."
    )
    step_timeout_seconds: float = Field(
        60, gt=0, le=A_WEEK, description="How long the code of one step may run, in seconds."
    )
    sandbox_memory_mb: int = Field(
        4096, ge=1024, description="Memory of the process that runs the agent's code, in MB."
    )
    output_chars: int = Field(
        20_000, ge=500, description="Most characters of printed output that one step keeps."
    )

    # The sandbox, where the agent's code runs
    sandbox: Literal[
        "auto",
        "landlock",
        "broker",
        "namespaces",
        "bubblewrap",
        "uid",
        "seatbelt",
        "restricted",
        "unconfined",
    ] = Field(
        "auto",
        description="How the agent's code is confined: `auto` takes the first tier whose self-test "
        "passes; or a tier by name (`python -m sandbox status` explains them); `unconfined` leaves "
        "your files and the network open to it.",
    )
    sandbox_imports: str = Field(
        "all",
        description="What the agent's code may import besides the standard library: `all` that is "
        "installed, or names with commas between them, such as numpy,pandas.",
    )
    sandbox_install: str = Field(
        "ask",
        description="Packages that the agent's code lacks: `ask` you, `never` install any, or "
        "names, with commas between them, that may be installed without asking.",
    )
    sandbox_idle_minutes: float = Field(
        30,
        ge=0,
        le=A_WEEK / 60,
        description="After how many idle minutes a session's variables are given up and its memory "
        "freed; files stay. 0: never.",
    )
    workspace_mb: int = Field(
        1000,
        ge=10,
        description="Most that the agent's code may write into a session's folder, in MB.",
    )
    workspace_files: int = Field(50_000, ge=100, description="Most files that it may leave there.")

    # The app
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address the app listens on; loopback by default.",
    )
    port: int = Field(7860, ge=0, le=65535, description="Port of the app; 0 takes a free one.")
    max_upload_mb: int = Field(100, ge=1, description="Largest file a visitor may attach, in MB.")
    max_visitors: int = Field(
        16, ge=1, description="Most sessions at once; each has its own sandbox process."
    )

    # Files
    data_dir: Path = Field(
        Path("data"),
        description="Folder for notes, logs, workspaces and the engine's state; relative to the "
        "project.",
    )
    notes_dir: Path | None = Field(
        None, description="Folder of your notes (txt, md) for search_notes; empty: data_dir/notes."
    )

    # Search
    search_backend: Literal["ddgs", "searxng"] = Field(
        "ddgs", description="What web_search asks: `ddgs` (no key) or your own `searxng`."
    )
    searxng_url: str = Field("", description="Address of a SearXNG server, if that is the backend.")

    @field_validator("endpoint_url", "searxng_url")
    @classmethod
    def _http_address(cls, value: str) -> str:
        if value:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("must be an address that starts with http:// or https://")
            _ = parts.port  # reading it raises ValueError for a port that can't be
        return value.rstrip("/")

    @field_validator(
        "temperature", "top_p", "max_tokens", "thinking_tokens", "notes_dir", mode="before"
    )
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("sandbox_imports", "sandbox_install")
    @classmethod
    def _names(cls, value: str, info: ValidationInfo) -> str:
        names = [name.strip() for name in value.split(",")]
        modules = info.field_name == "sandbox_imports"
        form = r"[^\W\d]\w*" if modules else r"[A-Za-z0-9][\w.-]*(==[0-9][\w.+!-]*)?"
        alone = {"all"} if modules else {"ask", "never"}
        for name in names:
            if not re.fullmatch(form, name, re.ASCII) or (len(names) > 1 and name in alone):
                either = " or ".join(f"`{word}`" for word in sorted(alone))
                raise ValueError(f"must be {either}, or names with commas between them")
        return ",".join(names)

    @field_validator("data_dir", "notes_dir")
    @classmethod
    def _from_project(cls, value: Path | None) -> Path | None:
        try:
            return None if value is None else (ROOT / value.expanduser()).resolve()
        except RuntimeError as error:  # ~ of an unknown user, a loop of links
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _belong_together(self) -> "Settings":
        if self.engine == "endpoint" and not self.endpoint_url:
            raise ValueError("engine is `endpoint`, so endpoint_url must name the server")
        if self.search_backend == "searxng" and not self.searxng_url:
            raise ValueError("search_backend is `searxng`, so searxng_url must name the server")
        return self

    @property
    def notes(self) -> Path:
        """The folder that search_notes reads."""
        return self.notes_dir or self.data_dir / "notes"

    @property
    def allowed_imports(self) -> tuple[str, ...] | None:
        """The modules of `sandbox_imports`, or None for all."""
        return None if self.sandbox_imports == "all" else tuple(self.sandbox_imports.split(","))

    @property
    def resolved_engine(self) -> str:
        """The engine's row; `auto` as far as settings alone can say."""
        if self.engine == "auto":
            return "endpoint" if self.endpoint_url else "transformers"
        return self.engine

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls)
        return init_settings, env_settings, dotenv_settings, toml


def load_settings(folder: Path = ROOT, **given: Any) -> Settings:
    """The settings of the project in `folder`; `given` (the command line) goes over all else.

    Entries of `given` that are None count as not given. Raises SettingsError, in words.
    """
    _refuse_unknown_environment()
    values = {name: value for name, value in given.items() if value is not None}

    class _Here(Settings):
        model_config = SettingsConfigDict(
            env_file=folder / ".env", toml_file=folder / "hearth.toml"
        )

    try:
        _refuse_broken_lines(folder / ".env")
        loaded = _Here(**values)
    except ValidationError as error:
        raise SettingsError(_in_words(error), fix=_FIX) from None
    except (ValueError, OSError) as error:  # tomllib and unreadable files
        raise SettingsError(f"The settings files can't be read: {error}", fix=_FIX) from None
    return Settings.model_construct(**dict(loaded))


def add_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a typer command that takes `**given` an option per setting: `--max-steps` and so on.

    What is given stays text until `load_settings(**given)` checks it. Keys have no option:
    everyone on a machine can read the command lines of its processes.
    """
    import typer

    own = [p for p in inspect.signature(command).parameters.values() if p.kind != p.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                str | None, typer.Option(help=info.description, rich_help_panel="Settings")
            ],
        )
        for name, info in Settings.model_fields.items()
        if info.annotation is not SecretStr
    ]
    command.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
    return command


_FIX = (
    "Mend it where you set it: the command line, the environment (HEARTH_…), .env or hearth.toml; "
    ".env.example lists every setting."
)


def _refuse_unknown_environment() -> None:
    """pydantic-settings passes over unknown environment variables; a typo must not be silent."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise SettingsError(f"Unknown setting {name}.{_near(name.upper(), known)}", fix=_FIX)


def _refuse_broken_lines(env_file: Path) -> None:
    """pydantic-settings passes over lines that it can't read; a typo must not be silent."""
    if not env_file.is_file():
        return
    with env_file.open(encoding="utf-8") as file:
        for entry in parse_stream(file):
            if entry.error or (entry.key and entry.value is None):
                # Without the line's text: it may hold a key.
                number = entry.original.line
                raise SettingsError(
                    f"Line {number} of {env_file.name} can't be read; a line is NAME=value.",
                    fix=_FIX,
                )


def _near(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _in_words(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        name = ".".join(str(part) for part in fault["loc"])
        text = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            bare = name.lower().removeprefix(PREFIX.lower())
            lines.append(f"Unknown setting {name}.{_near(bare, set(Settings.model_fields))}")
        elif name:
            shown = "" if "key" in name else f" (it is {fault['input']!r})"
            lines.append(f"Setting {name}: {text[0].lower()}{text[1:]}{shown}.")
        else:
            lines.append(f"Settings: {text}.")
    return "\n".join(lines)


def env_example() -> str:
    """The text of `.env.example`: each setting's sentence and default, commented out."""
    lines = [
        "# Settings of Hearth. Copy to .env and uncomment what you change.",
        "# Made by `make env-example`; a test keeps it true.",
    ]
    for name, info in Settings.model_fields.items():
        default = info.default
        if isinstance(default, SecretStr) or default is None:
            default = ""
        lines += ["", f"# {info.description}", f"#{PREFIX}{name.upper()}={default}"]
    return "\n".join(lines) + "\n"
