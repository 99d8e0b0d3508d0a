"""The settings of the web app and of what is kept on disk."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, field_validator

from settings.common import ROOT


class AppSettings(BaseModel):
    """The web app."""

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


class FileSettings(BaseModel):
    """What is kept on disk, and where."""

    data_dir: Path = Field(
        Path("data"),
        description="Folder for notes, logs, workspaces and the engine's state; relative to the "
        "project.",
    )
    notes_dir: Path | None = Field(
        None, description="Folder of your notes (txt, md) for search_notes; empty: data_dir/notes."
    )

    @field_validator("notes_dir", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("data_dir", "notes_dir")
    @classmethod
    def _from_project(cls, value: Path | None) -> Path | None:
        try:
            return None if value is None else (ROOT / value.expanduser()).resolve()
        except RuntimeError as error:  # ~ of an unknown user, a loop of links
            raise ValueError(str(error)) from None
