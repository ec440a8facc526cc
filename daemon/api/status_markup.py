"""What the status page is built of: elements with text in them, and tables. No value can become markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

NOTHING = "\N{EN DASH}"
"""Where there is no figure."""


def element(tag: str, *inside: Element | str, style: str | None = None) -> Element:
    """An element with text and elements inside it.

    Args:
        tag: its name.
        inside: texts and elements, in order.
        style: its class.
    """
    made = Element(tag, {"class": style} if style else {})
    last: Element | None = None
    for part in inside:
        if isinstance(part, Element):
            made.append(part)
            last = part
        elif last is None:
            made.text = (made.text or "") + part
        else:
            last.tail = (last.tail or "") + part
    return made


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its title.

    Attributes:
        title: above it.
        names: heads of its columns; one that begins with # heads a column of numbers.
        rows: its texts.
        empty: what is said where there is no row.
        styles: class of each row; none where all are alike.
    """

    title: str
    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str = ""
    styles: Sequence[str] = ()

    def card(self) -> Element:
        """The table on a card of the page."""
        title = element("h2", self.title)
        if not self.rows:
            return element("div", title, element("p", self.empty, style="quiet"), style="card")
        head = self._row("th", [name.lstrip("#") for name in self.names])
        styles = self.styles or [""] * len(self.rows)
        body = (self._row("td", row, style) for row, style in zip(self.rows, styles, strict=True))
        table = element("table", element("thead", head), element("tbody", *body))
        return element("div", title, table, style="card")

    def _row(self, tag: str, texts: Sequence[str], style: str = "") -> Element:
        kinds = ("number" if name.startswith("#") else None for name in self.names)
        cells = (element(tag, text, style=kind) for text, kind in zip(texts, kinds, strict=True))
        return element("tr", *cells, style=style or None)
