"""Pictures, sound and video → what is known of them in words."""

import io
from typing import Any

from errors import ToolError
from tools.formats import ocr
from tools.formats.kinds import VIDEO, kind_of

# By name: Pillow would hand an EPS file, whatever it is called, to Ghostscript.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "ICO")
_TAGS = 20
_NO_READER = (".avi", ".mkv", ".webm")  # mutagen takes an avi for a damaged wav


def picture_text(data: bytes, name: str) -> str:
    """Size, format, main colours, EXIF, and the text in it where tesseract is installed."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = 100_000_000
    try:
        picture = Image.open(io.BytesIO(data), formats=_FORMATS)
        lines = [f"{name}: a picture of {picture.width} x {picture.height} pixels"]
        lines[0] += f", {picture.format}, mode {picture.mode}"
        frames = getattr(picture, "n_frames", 1)
        lines += [f"frames: {frames}"] if frames > 1 else []
        lines += _exif(picture)
        picture.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ToolError(f"{name} has too many pixels; that is refused.") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise ToolError(f"{name} can't be read: the picture is damaged ({error}).") from None
    lines.append(_colours(picture))
    if not ocr.available():
        return "\n".join([*lines, f"text in it: not read; {ocr.MISSING}"])
    text = ocr.text_in(picture)
    return "\n".join([*lines, f"text in it:\n{text}" if text else "text in it: none was found"])


def _exif(picture: Any) -> list[str]:
    from PIL import ExifTags

    exif = picture.getexif()
    found = {ExifTags.TAGS.get(key, str(key)): value for key, value in exif.items()}
    details = exif.get_ifd(ExifTags.IFD.Exif)
    found |= {ExifTags.TAGS.get(key, str(key)): value for key, value in details.items()}
    place = _place(exif.get_ifd(ExifTags.IFD.GPSInfo))
    shown = [
        f"{key}: {' '.join(str(value).split())[:100]}"
        for key, value in found.items()
        if not isinstance(value, bytes) and key not in ("ExifOffset", "GPSInfo")
    ]
    return shown[:_TAGS] + ([place] if place else [])


def _place(gps: dict[int, Any]) -> str:
    try:
        (a, b, c), (d, e, f) = gps[2], gps[4]
        north = float(a) + float(b) / 60 + float(c) / 3600
        east = float(d) + float(e) / 60 + float(f) / 3600
        return (
            f"taken at: latitude {-north if gps.get(1) == 'S' else north:.6f}, "
            f"longitude {-east if gps.get(3) == 'W' else east:.6f}"
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return ""


def _colours(picture: Any) -> str:
    """The most frequent colours, so that a chart or a flag can be told without seeing it."""
    small = picture.convert("RGB").resize((64, 64))
    few = small.quantize(6)
    palette = few.getpalette()
    counts = sorted(few.getcolors(), reverse=True)[:5]
    shown = []
    for count, index in counts:
        red, green, blue = palette[3 * index : 3 * index + 3]
        shown.append(f"{red:02X}{green:02X}{blue:02X} {100 * count / 4096:.0f}%")
    return f"main colours (RGB): {', '.join(shown)}"


def media_text(data: bytes, name: str) -> str:
    """Duration, rates and tags of sound or video."""
    import mutagen

    kind = kind_of(data, name)
    try:
        found = None if kind in _NO_READER else mutagen.File(io.BytesIO(data), filename=name)
    except Exception as error:  # noqa: BLE001 - each format's reader has errors of its own
        raise ToolError(f"{name} can't be read: it is damaged ({str(error)[:200]}).") from None
    word = "a video" if kind in VIDEO else "a sound recording"
    if found is None or found.info is None:
        return f"{name}: {word} ({kind[1:]}, {len(data)} bytes)"
    info = found.info
    length = float(getattr(info, "length", 0) or 0)
    lines = [f"{name}: {word} ({kind[1:]}) of {_clock(length)} ({length:.1f} seconds)"]
    for key, words in (
        ("bitrate", "bits a second"),
        ("sample_rate", "samples a second"),
        ("channels", "channels"),
    ):
        value = getattr(info, key, None)
        lines += [f"{words}: {value}"] if value else []
    tags = found.tags.items() if hasattr(found.tags, "items") else []
    for key, value in list(tags)[:_TAGS]:
        text = value[0] if isinstance(value, list) and value else value
        if not isinstance(text, bytes) and "APIC" not in str(key):
            lines.append(f"{key}: {' '.join(str(text).split())[:200]}")
    return "\n".join(lines)


def transcript(data: bytes, name: str, model: str) -> str:
    """What is said in a recording, by faster-whisper, with a time at each line."""
    from faster_whisper import WhisperModel

    try:
        speech = WhisperModel(model, device="cpu", compute_type="int8")
    except Exception as error:  # noqa: BLE001 - of the Hub, of the disk, of the library
        raise ToolError(
            f"The speech model {model} can't be loaded: {str(error)[:200]}.",
            "Answer from what is known without it, or ask the user for a transcript.",
        ) from None
    segments, info = speech.transcribe(io.BytesIO(data), vad_filter=True)
    lines = [f"[{_clock(segment.start)}] {segment.text.strip()}" for segment in segments]
    if not lines:
        return f"No speech was heard in {name}."
    return "\n".join([f"what is said (language: {info.language}):", *lines])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
