"""What a file is: by its content where that tells, else by its name's ending. Parses nothing."""

from pathlib import PurePosixPath

PICTURES = (".png", ".jpg", ".gif", ".bmp", ".webp", ".tif", ".ico")
SOUND = (".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".aac", ".wma", ".aiff")
VIDEO = (".mp4", ".mov", ".avi", ".mkv", ".webm")
MEDIA = (*SOUND, *VIDEO)
ARCHIVES = (".zip", ".tar", ".gz", ".bz2", ".xz")
BOOKS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
DOCUMENTS = (
    *BOOKS,
    ".docx",
    ".pptx",
    ".pdf",
    ".html",
    ".epub",
    ".odt",
    ".odp",
    ".msg",
    ".rtf",
    ".eml",
    ".ipynb",
    ".pdb",
    ".sqlite",
)
TABLE_ONLY = (".parquet", ".feather")
UNREADABLE = {
    ".doc": "Word's old format; save it as docx",
    ".ppt": "PowerPoint's old format; save it as pptx",
    ".7z": "a 7-Zip archive; unpack it and attach what is in it",
    ".rar": "a RAR archive; unpack it and attach what is in it",
    ".locked": "protected by a password; save it without one",
}

_SAME = {
    ".htm": ".html",
    ".xhtml": ".html",
    ".jpeg": ".jpg",
    ".tiff": ".tif",
    ".tgz": ".gz",
    ".ent": ".pdb",
    ".db": ".sqlite",
    ".sqlite3": ".sqlite",
    ".mpga": ".mp3",
}
_STARTS = (
    (b"%PDF-", ".pdf"),
    (b"\x1f\x8b", ".gz"),
    (b"BZh", ".bz2"),
    (b"\xfd7zXZ\0", ".xz"),
    (b"7z\xbc\xaf\x27\x1c", ".7z"),
    (b"Rar!\x1a\x07", ".rar"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF87a", ".gif"),
    (b"GIF89a", ".gif"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"fLaC", ".flac"),
    (b"OggS", ".ogg"),
    (b"ID3", ".mp3"),
    (b"\x1aE\xdf\xa3", ".mkv"),
    (b"PAR1", ".parquet"),
    (b"ARROW1", ".feather"),
    (b"SQLite format 3\0", ".sqlite"),
    (b"{\\rtf", ".rtf"),
)
_RIFF = {b"WAVE": ".wav", b"WEBP": ".webp", b"AVI ": ".avi"}
_ZIPPED = (  # names that only this format has; the order decides
    (b"word/document.xml", ".docx"),
    (b"ppt/presentation.xml", ".pptx"),
    (b"xl/workbook.xml", ".xlsx"),
    (b"xl/workbook.bin", ".xlsb"),
    (b"application/epub+zip", ".epub"),
    (b"application/vnd.oasis.opendocument.spreadsheet", ".ods"),
    (b"application/vnd.oasis.opendocument.text", ".odt"),
    (b"application/vnd.oasis.opendocument.presentation", ".odp"),
)
_OLE = (
    ("EncryptedPackage", ".locked"),
    ("Workbook", ".xls"),
    ("WordDocument", ".doc"),
    ("PowerPoint Document", ".ppt"),
    ("__substg1.0", ".msg"),
)
_ENDS_BYTES = 1 << 18


def ending(name: str) -> str:
    """The ending of a name in lower case and its usual spelling: `.JPEG` is `.jpg`."""
    suffix = PurePosixPath(name).suffix.lower()
    return _SAME.get(suffix, suffix)


def kind_of(data: bytes, name: str) -> str:
    """The format as an ending (`.pdf`), by the content; by the name where only that tells.

    `.locked` is an Office file behind a password. Empty for a name without an ending.
    """
    named = ending(name)
    head = data[:1024]
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return _zipped(data, named)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        found = (kind for mark, kind in _OLE if mark.encode("utf-16-le") in data)
        return next(found, named)
    for start, kind in _STARTS:
        if head.startswith(start):
            # Ogg and Matroska hold sound or video, which the name may tell.
            return named if kind in (".ogg", ".mkv") and named in MEDIA else kind
    if head.startswith(b"RIFF") and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp":
        return named if named in MEDIA else (".m4a" if head[8:11] == b"M4A" else ".mp4")
    if data[257:262] == b"ustar":
        return ".tar"
    if head.startswith(b"BM") and data[6:10] == b"\0\0\0\0":
        return ".bmp"
    if len(head) > 2 and head[0] == 0xFF and head[1] in (0xFB, 0xF3, 0xF2, 0xFA):
        return ".mp3"
    return named or _written(head)


def _zipped(data: bytes, named: str) -> str:
    # The names of an archive's members stand at its end, some also at its beginning.
    ends = data[:_ENDS_BYTES] + data[-_ENDS_BYTES:]
    kind = next((kind for mark, kind in _ZIPPED if mark in ends), "")
    if kind == ".xlsx" and named == ".xlsm":
        return named
    return kind or (named if named in DOCUMENTS else ".zip")


def _written(head: bytes) -> str:
    """The kind of a text without an ending."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    return ".html" if start.startswith((b"<!doctype html", b"<html")) else ""
