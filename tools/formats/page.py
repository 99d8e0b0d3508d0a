"""A web page → Markdown: its article, or all of it where there is none."""

import logging

from tools.formats.office import by_markitdown


def page_markdown(data: bytes, name: str, address: str = "") -> str:
    """The readable text of a page (UTF-8), under its title."""
    import trafilatura
    from trafilatura.metadata import extract_metadata

    del name
    logging.disable(logging.CRITICAL)  # it logs as errors what is said here in other words
    html = data.decode("utf-8", "replace")
    text = trafilatura.extract(
        html,
        url=address or None,
        output_format="markdown",
        include_tables=True,
        include_comments=False,
        include_formatting=True,
        favor_recall=True,
    )
    if not text:  # no article in it: a list, a form, a few lines
        text = by_markitdown(data, "the page", ".html", "utf-8")
    described = extract_metadata(html, default_url=address or None)
    title = " ".join((described.title or "").split())[:200] if described else ""
    head = f"# {title}\n" if title and not text.startswith(f"# {title}") else ""
    return f"{head}{text.strip()}".strip()
