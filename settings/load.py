"""All settings together, and where their values come from.

A value is taken from the first of these that has it: the command line, the environment
(`HEARTH_…`), the file `.env`, the file `hearth.toml`, the default. A name nobody
knows and a value that can't be are errors that name the field; nothing is ignored.
"""

import difflib
import os
from pathlib import Path
from typing import Any, get_args

from dotenv.parser import parse_stream
from pydantic import ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from errors import SettingsError
from settings.common import PREFIX, ROOT
from settings.of_agent import RunSettings, SandboxSettings
from settings.of_app import AppSettings, FileSettings
from settings.of_model import ModelSettings
from settings.of_permissions import PermissionSettings
from settings.of_route import EndpointSettings, RouteSettings
from settings.of_servers import ServerSettings
from settings.of_tools import ToolSettings


class Settings(  # the fields of the last come first
    ServerSettings,
    PermissionSettings,
    ToolSettings,
    FileSettings,
    AppSettings,
    SandboxSettings,
    RunSettings,
    RouteSettings,
    ModelSettings,
    BaseSettings,
):
    """The settings of one Hearth. Build it with `load_settings`, which words the errors."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        env_file_encoding="utf-8",
        toml_file="hearth.toml",
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
    )

    @model_validator(mode="after")
    def _belong_together(self) -> "Settings":
        if self.engine == "endpoint" and not self.endpoint_url:
            raise ValueError("engine is `endpoint`, so endpoint_url must name the server")
        if bool(self.vision_url) != bool(self.vision_model):
            raise ValueError("vision_url and vision_model belong together: set both, or neither")
        for backend in self.search_order:
            if lacking := self.lacks(backend):
                raise ValueError(f"search_backends names {backend}, so {lacking} must be set")
        if fault := self.route_fault(_local_engines()):
            raise ValueError(fault)
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
    # What was set and what is a default is told apart by the route.
    return Settings.model_construct(_fields_set=loaded.model_fields_set, **dict(loaded))


def _local_engines() -> tuple[str, ...]:
    names = get_args(ModelSettings.model_fields["engine"].annotation)
    return tuple(name for name in names if name not in ("auto", "endpoint"))


_FIX = (
    "Mend it where you set it: the command line, the environment (HEARTH_…), .env or hearth.toml; "
    ".env.example lists every setting."
)


def _refuse_unknown_environment() -> None:
    """pydantic-settings passes over unknown environment variables; a typo must not be silent."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in os.environ:
        nested = name.upper().startswith(f"{PREFIX}ENDPOINTS__")
        if name.upper().startswith(PREFIX) and name.upper() not in known and not nested:
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
            bare = str(fault["loc"][-1]).lower().removeprefix(PREFIX.lower())
            fields = EndpointSettings if len(fault["loc"]) > 1 else Settings
            lines.append(f"Unknown setting {name}.{_near(bare, set(fields.model_fields))}")
        elif name:
            secret = name.startswith("mcp") or _may_hold_a_key(fault)
            shown = "" if secret else f" (it is {fault['input']!r})"
            lines.append(f"Setting {name}: {text[0].lower()}{text[1:]}{shown}.")
        else:
            lines.append(f"Settings: {text}.")
    return "\n".join(lines)


def _may_hold_a_key(fault: Any) -> bool:
    """Whether the value that is at fault may hold a key: then it is not shown."""
    place = [str(part) for part in fault["loc"]]
    plain = isinstance(fault["input"], str | int | float | bool)
    plain = plain and "@" not in str(fault["input"])  # an address with a password in it
    return "key" in ".".join(place) or not plain or (place[0] == "endpoints" and len(place) < 3)
