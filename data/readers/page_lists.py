"""Lists of a page: items with their bullets and numbers, terms with their descriptions."""

from __future__ import annotations

from collections.abc import Iterator

from lxml.html import HtmlElement

from data.readers.page_text import raw_text, squeeze, text_of

__all__ = ["definition_entries", "item_lines", "leading_term", "list_items"]

_LISTS = frozenset({"ul", "ol", "menu"})


def list_items(element: HtmlElement) -> Iterator[tuple[str, HtmlElement]]:
    """Yield the items of a list, each with its bullet or number.

    Anything else inside the list, such as a list between two items, comes without a prefix.
    """
    start = element.get("start") or "1"
    number = int(start) if start.isdecimal() else 1
    for child in element:
        if child.tag != "li":
            if isinstance(child.tag, str):
                yield "", child
            continue
        value = child.get("value") or ""
        number = int(value) if value.isdecimal() else number
        yield (f"{number}. " if element.tag == "ol" else "- "), child
        number += 1


def item_lines(parent: HtmlElement, prefix: str, item: HtmlElement, depth: int) -> list[str]:
    """Return an item and the items of its nested lists, one per line, indented by depth."""
    text = " ".join(squeeze(raw_text(item, _LISTS)).split("\n"))
    lines = [f"{'  ' * depth}{prefix}{text}"] if text else []
    for nested_list in item.iter(*_LISTS):
        outer = next(nested_list.iterancestors(*_LISTS), None)
        if outer is parent:
            for nested_prefix, nested_item in list_items(nested_list):
                lines += item_lines(nested_list, nested_prefix, nested_item, depth + 1)
    return lines


def leading_term(item: HtmlElement) -> str:
    """Return the bold words at the start of an item, which are the term that it explains."""
    bold = next(item.iter("strong", "b", "dfn"), None)
    if bold is None:
        return ""
    term = text_of(bold)
    return term.strip(" :.–—-") if term and text_of(item).startswith(term) else ""


def definition_entries(
    element: HtmlElement,
) -> Iterator[tuple[list[HtmlElement], list[HtmlElement]]]:
    """Yield the terms (`dt`) and descriptions (`dd`) of each entry of a definition list."""
    terms: list[HtmlElement] = []
    descriptions: list[HtmlElement] = []
    for part in _parts(element):
        if part.tag == "dt" and descriptions:
            yield terms, descriptions
            terms, descriptions = [], []
        (terms if part.tag == "dt" else descriptions).append(part)
    if terms or descriptions:
        yield terms, descriptions


def _parts(element: HtmlElement) -> Iterator[HtmlElement]:
    for child in element:
        if child.tag in ("dt", "dd"):
            yield child
        elif isinstance(child.tag, str):
            yield from _parts(child)
