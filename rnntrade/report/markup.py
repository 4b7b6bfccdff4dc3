"""Small pieces of HTML, their texts escaped."""

from collections.abc import Mapping, Sequence
from html import escape


def paragraph(text: str, style: str = "") -> str:
    """Return a paragraph, of a style that the page knows."""
    return f'<p class="{style}">{escape(text)}</p>' if style else f"<p>{escape(text)}</p>"


def bullets(texts: Sequence[str]) -> str:
    """Return a list, one text a line."""
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def folded(title: str, html: str) -> str:
    """Return HTML behind a title that opens it."""
    return f"<details><summary>{escape(title)}</summary>\n{html}</details>"


def terms(meanings: Mapping[str, str]) -> str:
    """Return terms and what they mean."""
    pairs = (f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in meanings.items())
    return f"<dl>{''.join(pairs)}</dl>"
