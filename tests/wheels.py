"""Wheels that tests make, for a package index that is a folder."""

import zipfile
from pathlib import Path

import pytest


def make_wheel(
    folder: Path, name: str, files: dict[str, str | bytes], version: str = "1.0", requires: str = ""
) -> Path:
    """A wheel of pure Python; `requires` are its needs, one a line."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires.splitlines())
    parts: dict[str, str | bytes] = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*parts, f"{info}/RECORD"])
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for inner, content in {**parts, f"{info}/RECORD": record}.items():
            archive.writestr(inner, content)
    return path


def use_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make pip take a folder for the whole index, here and in the processes started from here."""
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder
