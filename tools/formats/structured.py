"""Letters, notebooks, protein structures and databases → text."""

import base64
import json
from collections import Counter
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from errors import ToolError

_TABLE_ROWS = 20
_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_STANDARD_TEXT = """
    ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL
    A C G U DA DC DG DT
    """
_STANDARD = frozenset(_STANDARD_TEXT.split())


def letter(data: bytes, name: str) -> str:
    """An e-mail: its head, its text, and the names of what is attached."""
    message = message_from_bytes(data, policy=default)
    assert isinstance(message, EmailMessage)
    lines = [f"{key}: {message[key]}" for key in _HEADERS if message[key]]
    if not lines:
        raise ToolError(f"{name} can't be read: it is no e-mail.")
    body = message.get_body(("plain", "html"))
    text = str(body.get_content()) if body is not None else ""
    if body is not None and body.get_content_subtype() == "html":
        from tools.formats.office import by_markitdown

        text = by_markitdown(text.encode(), name, ".html", "utf-8")
    attached = [
        f"- {part.get_filename() or 'without a name'} ({part.get_content_type()}, "
        f"{len(part.get_payload(decode=True) or b'')} bytes)"
        for part in message.iter_attachments()
    ]
    lines += ["", text.strip()]
    return "\n".join([*lines, "", "attached:", *attached] if attached else lines)


def notebook(data: bytes, name: str) -> str:
    """A Jupyter notebook: each cell, and what it printed."""
    try:
        cells = json.loads(data)["cells"]
        return "\n\n".join(_cell(cell, number) for number, cell in enumerate(cells, 1))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ToolError(f"{name} can't be read: it is no notebook.") from None


def _cell(cell: dict[str, Any], number: int) -> str:
    source = _joined(cell.get("source", ""))
    if cell.get("cell_type") != "code":
        return source
    shown = [_output(output) for output in cell.get("outputs", [])]
    outputs = "\n".join(text for text in shown if text)
    return f"[cell {number}]\n```\n{source}\n```" + (f"\nOutput:\n{outputs}" if outputs else "")


def _output(output: dict[str, Any]) -> str:
    if output.get("output_type") == "error":
        return f"{output.get('ename')}: {output.get('evalue')}"
    data = output.get("data", {})
    pictures = [kind for kind in data if kind.startswith("image/")]
    text = _joined(output.get("text", data.get("text/plain", ""))).rstrip("\n")
    return "\n".join([text, *(f"({kind})" for kind in pictures)]).strip("\n")


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def protein(data: bytes, name: str) -> str:
    """A PDB entry: what it holds in a few lines, and then its text."""
    text = data.decode("utf-8", "replace")
    if not any(line.startswith(("ATOM  ", "HETATM")) for line in text.splitlines()):
        raise ToolError(f"{name} can't be read: it holds no atoms of a PDB entry.")
    return "\n".join([*_protein_summary(text), "", "the file:", text])


def _protein_summary(text: str) -> list[str]:
    header: dict[str, str] = {}
    residues: dict[str, dict[str, str]] = {}
    atoms: Counter[str] = Counter()
    others: Counter[str] = Counter()
    seen: set[str] = set()
    models = 0
    for line in text.splitlines():
        record = line[:6].strip()
        models += record == "MODEL"
        if record in ("HEADER", "TITLE", "EXPDTA"):
            header[record] = f"{header.get(record, '')} {line[10:80].strip()}".strip()
        if record not in ("ATOM", "HETATM") or models > 1:
            continue
        chain, residue, place = line[21:22].strip() or "-", line[17:20].strip(), line[22:27]
        atoms[record] += 1
        if record == "ATOM":
            residues.setdefault(chain, {})[place] = residue
        elif f"{chain}{place}" not in seen:
            seen.add(f"{chain}{place}")
            others[residue] += 1
    lines = [f"{key.lower()}: {value}" for key, value in header.items()]
    lines += [f"models: {models}"] if models > 1 else []
    lines.append(f"atoms: {atoms['ATOM']} of the chains, {atoms['HETATM']} others")
    for chain, members in residues.items():
        odd = sorted({r for r in members.values() if r not in _STANDARD})
        lines.append(
            f"chain {chain}: {len(members)} residues"
            + (f", among them not standard: {', '.join(odd)}" if odd else "")
        )
    if others:
        lines.append("other groups: " + ", ".join(f"{n} {r}" for r, n in others.most_common(20)))
    return lines


def database(data: bytes, name: str) -> str:
    """A SQLite file: its tables, how each was made, the number of rows and the first ones."""
    import sqlite3

    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(data)
        connection.execute("PRAGMA trusted_schema = OFF")
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        return "\n\n".join(_table(connection, table, sql) for table, sql in rows) or "no tables"
    except sqlite3.Error as error:
        raise ToolError(f"{name} can't be read as a SQLite database: {error}.") from None
    finally:
        connection.close()


def _table(connection: Any, table: str, sql: str) -> str:
    quoted = '"' + table.replace('"', '""') + '"'
    count = connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()[0]
    rows = connection.execute(f"SELECT * FROM {quoted} LIMIT {_TABLE_ROWS}").fetchall()
    shown = "\n".join(", ".join(_value(value) for value in row) for row in rows)
    return f"table {table}: {count} rows\n{sql}\n{shown}".rstrip()


def _value(value: object) -> str:
    if isinstance(value, bytes):
        return f"({len(value)} bytes: {base64.b64encode(value[:12]).decode()}…)"
    return "" if value is None else str(value)[:200]
