"""The smallest true files of formats that no library at hand writes.

By their specifications: [MS-CFB] (the container of xls and msg), [MS-XLS], [MS-XLSB], [MS-OXMSG],
OpenDocument 1.3, EPUB 3.
"""

import io
import struct
import zipfile
from collections.abc import Sequence

SECTOR, MINI = 512, 64
END, FREE, FAT, NONE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF
Rows = Sequence[Sequence[str | float]]


def zipped(members: dict[str, bytes | str]) -> bytes:
    """A zip; a member named `mimetype` stands first and plain, as OpenDocument and EPUB want it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, data in members.items():
            kind = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            packed.writestr(name, data, kind)
    return out.getvalue()


def compound(streams: dict[str, bytes]) -> bytes:
    """A compound file of small streams, each under 4,096 bytes."""
    mini, chains, starts = b"", [], []
    for data in streams.values():
        first, count = len(chains), -(-len(data) // MINI)
        starts.append(first)
        chains += [*range(first + 1, first + count), END]
        mini += data.ljust(count * MINI, b"\0")
    entries = [("Root Entry", 5, NONE, 1, len(mini))]
    names = list(streams)
    order = sorted(names, key=lambda name: (len(name), name.upper()))
    following = dict(zip(order, [*order[1:], None], strict=True))
    entries[0] = ("Root Entry", 5, NONE, names.index(order[0]) + 1, len(mini))
    for name in names:
        after = following[name]
        right = names.index(after) + 1 if after else NONE
        entries.append((name, 2, right, NONE, len(streams[name])))
    # Sectors: the table of sectors, that of small ones, the folder, then the small sectors' bytes.
    folder_sectors = -(-len(entries) // 4)
    mini_sectors = -(-len(mini) // SECTOR)
    body = 2 + folder_sectors
    table = [FAT, END, *range(3, body), END, *range(body + 1, body + mini_sectors), END]
    folder = b""
    for (name, kind, right, child, size), start in zip(entries, [body, *starts], strict=True):
        text = name.encode("utf-16-le")
        folder += text.ljust(64, b"\0") + struct.pack("<HBB", len(text) + 2, kind, 1)
        folder += (
            struct.pack("<III", NONE, right, child) + bytes(36) + struct.pack("<IQ", start, size)
        )
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    head += struct.pack(
        "<HHHHH6xIIIIIIIIII", 62, 3, 0xFFFE, 9, 6, 0, 1, 2, 0, 4096, 1, 1, END, 0, 0
    )
    head += struct.pack("<108I", *[FREE] * 108)
    tables = (struct.pack(f"<{len(each)}I", *each) for each in (table, chains))
    parts = [
        *(each.ljust(SECTOR, b"\xff") for each in tables),
        folder.ljust(folder_sectors * SECTOR, b"\0"),
    ]
    return head + b"".join(parts) + mini.ljust(mini_sectors * SECTOR, b"\0")


def xls(title: str, rows: Rows) -> bytes:
    def record(kind: int, data: bytes = b"") -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    def text(value: str, length: str) -> bytes:
        return struct.pack(f"<{length}B", len(value), 1) + value.encode("utf-16-le")

    cells = b""
    for at, row in enumerate(rows):
        for column, value in enumerate(row):
            place = struct.pack("<HHH", at, column, 15)
            if isinstance(value, str):
                cells += record(0x204, place + text(value, "H"))
            else:
                cells += record(0x203, place + struct.pack("<d", value))
    size = struct.pack("<IIHHH", 0, len(rows), 0, len(rows[0]), 0)
    sheet = record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 6))
    sheet += record(0x200, size) + cells + record(0xA)
    start = record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 6))
    bound = struct.pack("<BB", 0, 0) + text(title, "B")
    offset = len(start) + len(record(0x85, bytes(4) + bound)) + len(record(0xA))
    book = start + record(0x85, struct.pack("<I", offset) + bound) + record(0xA)
    return compound({"Workbook": book + sheet})


def xlsb(title: str, rows: Rows) -> bytes:
    def record(kind: int, data: bytes = b"") -> bytes:
        number = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
        size = len(data)
        return (
            number
            + (bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7]))
            + data
        )

    def text(value: str) -> bytes:
        return struct.pack("<I", len(value)) + value.encode("utf-16-le")

    cells = b""
    for at, row in enumerate(rows):
        cells += record(0, struct.pack("<IIHBBBI", at, 0, 300, 0, 0, 0, 0))
        for column, value in enumerate(row):
            place = struct.pack("<II", column, 0)
            if isinstance(value, str):
                cells += record(6, place + text(value))
            else:
                cells += record(5, place + struct.pack("<d", value))
    size = struct.pack("<IIII", 0, len(rows) - 1, 0, len(rows[0]) - 1)
    sheet = record(129) + record(148, size) + record(145) + cells + record(146) + record(130)
    bound = record(156, struct.pack("<II", 0, 1) + text("rId1") + text(title))
    book = record(131) + record(143) + bound + record(144) + record(132)
    space = "http://schemas.openxmlformats.org"
    kind = f"{space}/officeDocument/2006/relationships"
    relations = f'<Relationships xmlns="{space}/package/2006/relationships">{{}}</Relationships>'
    link = '<Relationship Id="rId1" Type="{}" Target="{}"/>'
    binary = "application/vnd.ms-excel.sheet.binary.macroEnabled.main"
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{space}/package/2006/content-types">'
            f'<Default Extension="bin" ContentType="{binary}"/></Types>',
            "_rels/.rels": relations.format(
                link.format(f"{kind}/officeDocument", "xl/workbook.bin")
            ),
            "xl/workbook.bin": book,
            "xl/_rels/workbook.bin.rels": relations.format(
                link.format(f"{kind}/worksheet", "worksheets/sheet1.bin")
            ),
            "xl/worksheets/sheet1.bin": sheet,
        }
    )


def opendocument(kind: str, body: str) -> bytes:
    """`kind`: text, spreadsheet or presentation; `body`: what stands in `office:body`."""
    parts = ("office", "text", "table", "drawing")
    space = "urn:oasis:names:tc:opendocument:xmlns"
    names = " ".join(f'xmlns:{part}="{space}:{part}:1.0"' for part in parts)
    content = f"<office:document-content {names}><office:body>{body}</office:body>"
    mime = f"application/vnd.oasis.opendocument.{kind}"
    return zipped(
        {
            "mimetype": mime,
            "content.xml": f"{content}</office:document-content>",
            "META-INF/manifest.xml": f'<m:manifest xmlns:m="{space}:manifest:1.0"><m:file-entry '
            f'm:full-path="/" m:media-type="{mime}"/></m:manifest>',
        }
    )


def ods(title: str, rows: Rows) -> bytes:
    def cell(value: str | float) -> str:
        if isinstance(value, str):
            inside = f'office:value-type="string"><text:p>{value}</text:p>'
        else:
            inside = f'office:value-type="float" office:value="{value}">'
        return f"<table:table-cell {inside}</table:table-cell>"

    lines = "".join(f"<table:table-row>{''.join(map(cell, row))}</table:table-row>" for row in rows)
    table = f'<table:table table:name="{title}">{lines}</table:table>'
    return opendocument("spreadsheet", f"<office:spreadsheet>{table}</office:spreadsheet>")


def odp(*slides: Sequence[str]) -> bytes:
    pages = ""
    for number, lines in enumerate(slides, 1):
        said = "".join(f"<text:p>{line}</text:p>" for line in lines)
        frame = f"<drawing:frame><drawing:text-box>{said}</drawing:text-box></drawing:frame>"
        pages += f'<drawing:page drawing:name="page{number}">{frame}</drawing:page>'
    return opendocument("presentation", f"<office:presentation>{pages}</office:presentation>")


def epub(title: str, *chapters: str) -> bytes:
    names = [f"c{number}.xhtml" for number in range(1, len(chapters) + 1)]
    items = "".join(
        f'<item id="i{n}" href="{name}" media-type="application/xhtml+xml"/>'
        for n, name in enumerate(names)
    )
    spine = "".join(f'<itemref idref="i{n}"/>' for n in range(len(names)))
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container version="1.0" '
            'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
            'full-path="book.opf" media-type="application/oebps-package+xml"/>'
            "</rootfiles></container>",
            "book.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
            f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></metadata>'
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
            **{
                name: f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{text}</body></html>'
                for name, text in zip(names, chapters, strict=True)
            },
        }
    )


def msg(sender: str, to: str, subject: str, text: str) -> bytes:
    """A letter as Outlook saves it; each of its texts is a stream, numbered by its property."""
    texts = {"0C1F": sender, "0E04": to, "0037": subject, "1000": text, "001A": "IPM.Note"}
    return compound(
        {
            "__properties_version1.0": bytes(32),
            **{f"__substg1.0_{n}001F": said.encode("utf-16-le") for n, said in texts.items()},
        }
    )
