"""The settings of a run and of the sandbox that its code runs in."""

import re
from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from settings.common import A_WEEK


class RunSettings(BaseModel):
    """A run and its limits."""

    max_steps: int = Field(8, ge=1, le=100, description="Most steps in one run.")
    shown_file_tokens: int = Field(
        1500,
        ge=0,
        le=100_000,
        description="Most tokens of attached text files that the task itself shows; 0: none.",
    )
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


class SandboxSettings(BaseModel):
    """The sandbox, where the agent's code runs."""

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
