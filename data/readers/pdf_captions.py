"""Recognise captions ("Figure 3.2. …") and mentions of figures and tables in the text of a PDF."""

from __future__ import annotations

import re

__all__ = ["CAPTION", "find_references", "label_anchor", "parse_caption", "strip_label"]

_NUMBER = r"(?:[A-Z]{1,2}[.\-]?)?\d+(?:[.\-–]\d+)*"
CAPTION = re.compile(
    rf"^(?P<kind>(?i:fig(?:ure|\.)?|table|tab\.|plate|scheme|chart))\s*(?P<number>{_NUMBER})"
    r"(?P<part>[a-z]?)(?=\s*[.:|)–—]\s|\s*[.:|]?$|\s+[A-Z\"“(\[])"
)
_MENTION = re.compile(
    rf"\b(?P<kind>[Ff]ig(?:ure)?s?\b\.?|FIG(?:URE)?S?\b\.?|[Tt]ables?\b|TABLES?\b)\s*"
    rf"(?P<numbers>{_NUMBER}[a-z]?\b(?:\s*(?:,|and|&|,\s*and|or|to|–|-)\s*{_NUMBER}[a-z]?\b)*)"
)
_PAGE_REFERENCE = re.compile(r"(\.\s?){4,}\s*\d*$|\s\d+$")  # the end of a line in a list of figures


def parse_caption(text: str) -> tuple[str, str] | None:
    """Return the kind ("figure" or "table") and the number of a caption.

    Returns None for any other text, and for the lines of a list of figures.
    """
    match = CAPTION.match(text)
    if not match or _PAGE_REFERENCE.search(text[match.end() :]):
        return None
    kind = "table" if match["kind"].lower().startswith("tab") else "figure"
    return kind, match["number"].replace("–", "-")


def strip_label(caption: str) -> str:
    """Return a caption without its label "Figure 3.2."."""
    match = CAPTION.match(caption)
    return caption[match.end() :].lstrip(" .:|–—-)") if match else caption


def label_anchor(kind: str, number: str) -> str:
    """Return the anchor of a label, such as `figure-3.2`.

    Captions and mentions lead to the same anchor, so that a mention can come before its figure.
    """
    return f"{kind}-{number}"


def find_references(text: str) -> tuple[str, ...]:
    """Return the anchors of the figures and tables that a text mentions, each once, in order."""
    anchors: dict[str, None] = {}
    for mention in _MENTION.finditer(text):
        kind = "table" if mention["kind"].lower().startswith("tab") else "figure"
        for number in re.findall(rf"({_NUMBER})[a-z]?\b", mention["numbers"]):
            anchors[label_anchor(kind, number.replace("–", "-"))] = None
    return tuple(anchors)
