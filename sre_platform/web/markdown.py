"""The little Markdown that tickets are written in, as HTML. Everything is escaped; only web addresses become links.

Known are ``## headings``, ``-`` and ``1.`` lists (indented deeper: a list in the list), ``**bold**``, `` `code` ``.
"""

import re
from collections.abc import Iterator

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_INLINE = re.compile(r"`(?P<code>[^`]+)`|\*\*(?P<strong>.+?)\*\*|(?P<url>https?://[^\s<>\"'`]*[^\s<>\"'`.,;:!?)])")
_ITEM = re.compile(r"^(?P<indent> *)(?:[-*]|(?P<number>\d+)\.) +(?P<text>.*)$")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.*)$")


def render(text: str) -> SafeString:
    """``text`` as HTML."""
    return _join(_blocks(text.splitlines()))


def _blocks(lines: list[str]) -> Iterator[SafeString]:
    position = 0
    while position < len(lines):
        taken = _block(lines, position)
        position += max(1, len(taken))
        if not taken:
            continue
        if heading := _HEADING.match(taken[0]):
            yield format_html("<h2>{}</h2>", _inline(heading["text"]))
        elif _ITEM.match(taken[0]):
            yield _items(taken)
        else:
            yield format_html("<p>{}</p>", _inline(" ".join(taken)))


def _block(lines: list[str], start: int) -> list[str]:
    """The lines that belong together from ``start`` on; empty when there is a blank line."""
    kind = _kind(lines[start])
    if kind == "heading":
        return lines[start : start + 1]
    end = start
    while end < len(lines) and kind and _kind(lines[end]) == kind:
        end += 1
    return lines[start:end]


def _kind(line: str) -> str:
    if not line.strip():
        return ""
    return "heading" if _HEADING.match(line) else "item" if _ITEM.match(line) else "text"


def _items(lines: list[str]) -> SafeString:
    """A list; lines that are indented deeper than the first one are lists within the item above them."""
    found = [match for line in lines if (match := _ITEM.match(line))]
    top = len(found[0]["indent"])
    starts = [i for i, match in enumerate(found) if len(match["indent"]) <= top]
    spans = zip(starts, [*starts[1:], len(found)], strict=True)
    items = [
        format_html("<li>{}{}</li>", _inline(found[i]["text"]), _items(lines[i + 1 : end]) if end > i + 1 else "")
        for i, end in spans
    ]
    tag = "<ol>{}</ol>" if found[0]["number"] else "<ul>{}</ul>"
    return format_html(tag, _join(items))


def _inline(text: str) -> SafeString:
    return _join(_pieces(text))


def _pieces(text: str) -> Iterator[SafeString]:
    done = 0
    for match in _INLINE.finditer(text):
        yield format_html("{}", text[done : match.start()])
        if match["url"]:
            yield format_html('<a href="{0}" rel="noreferrer">{0}</a>', match["url"])
        elif match["code"]:
            yield format_html("<code>{}</code>", match["code"])
        else:
            yield format_html("<strong>{}</strong>", match["strong"])
        done = match.end()
    yield format_html("{}", text[done:])


def _join(pieces) -> SafeString:
    return format_html_join("", "{}", ((piece,) for piece in pieces))
