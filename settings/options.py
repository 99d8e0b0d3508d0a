"""The settings as options of a command, and as the text of `.env.example`."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import SecretStr

from settings.common import PREFIX
from settings.load import Settings

_NO_OPTION = {"mcp", "endpoints"}  # they hold keys


def add_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a typer command that takes `**given` an option per setting: `--max-steps` and so on.

    What is given stays text until `load_settings(**given)` checks it. Keys, and tables that
    hold some, have no option: everyone on a machine can read the command lines of its processes.
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
        if info.annotation is not SecretStr and name not in _NO_OPTION
    ]
    command.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
    return command


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
