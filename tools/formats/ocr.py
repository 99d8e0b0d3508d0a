"""Text in a picture, by the program tesseract where it is installed."""

import io
import shutil
import subprocess
from typing import Any

MISSING = (
    "reading the text in it needs tesseract, which is not installed "
    "(Debian, Ubuntu, Colab: `apt install tesseract-ocr`; macOS: `brew install tesseract`)"
)
_SECONDS = 30.0
_MOST_PIXELS = 20_000_000


def available() -> bool:
    """Whether a program for it is on the PATH."""
    return shutil.which("tesseract") is not None


def text_in(picture: Any) -> str:
    """The text that is seen in a PIL image; empty where there is none.

    Raises OSError where the program can't be run, subprocess.TimeoutExpired where it hangs.
    """
    picture = picture.convert("RGB")
    if picture.width * picture.height > _MOST_PIXELS:
        picture.thumbnail((4500, 4500))
    elif picture.width < 1000:  # letters of a screenshot are smaller than it is trained on
        picture = picture.resize((picture.width * 2, picture.height * 2))
    png = io.BytesIO()
    picture.save(png, "PNG")
    done = subprocess.run(
        ["tesseract", "stdin", "stdout"],
        input=png.getvalue(),
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise OSError(f"tesseract failed: {''.join(said[-1:])[:200]}")
    lines = [line.rstrip() for line in done.stdout.decode("utf-8", "replace").splitlines()]
    return "\n".join(line for line in lines if line)
