"""Simplify the mark-up of Office files before it is read: one version, no wrappers."""

from __future__ import annotations

from lxml import etree

from data.readers.xml import local_name

__all__ = ["related_id", "simplify"]

# Content controls, smart tags and insertions that wait for approval: the reader sees through them.
_WRAPPERS = frozenset("sdt sdtContent customXml smartTag ins moveTo".split())
_CONTROL_SETTINGS = ("sdtPr", "sdtEndPr", "customXmlPr", "smartTagPr")
# What the readers read themselves: formulas, text boxes, groups, drawings and charts of shapes.
_READ_EXTENSIONS = (
    "/drawing/2010/main",
    "/wordprocessingShape",
    "/wordprocessingGroup",
    "/wordprocessingCanvas",
    "/chartex",
    "/drawing/2007/8/2/chart",
    "/powerpoint/2010/main",
)
_UNREAD_CONTENT = "contentPart"  # handwriting, which its fallback shows as a picture


def simplify(root: etree._Element) -> None:
    """Replace each alternative by the version that the readers know, and unwrap controls, in place.

    PowerPoint wraps a shape with a formula, and Word each text box, in `mc:AlternateContent`: the
    `Choice` has the real contents, the `Fallback` a copy for old programs.
    """
    for element in list(root.iter("{*}AlternateContent")):
        branch = _branch(element)
        _replace(element, list(branch) if branch is not None else [])
    for element in list(root.iter()):
        if local_name(element) in _WRAPPERS and element.getparent() is not None:
            contents = [child for child in element if local_name(child) not in _CONTROL_SETTINGS]
            _replace(element, contents)


def related_id(element: etree._Element | None, *names: str) -> str:
    """Return the relation that an element names in `r:embed`, `r:id` or the like; '' if none."""
    for key, value in element.attrib.items() if element is not None else ():
        name = etree.QName(key)
        if name.localname in names and str(name.namespace).endswith("relationships"):
            return str(value)
    return ""


def _branch(alternatives: etree._Element) -> etree._Element | None:
    fallback = next((b for b in alternatives if local_name(b) == "Fallback" and len(b)), None)
    for choice in alternatives:
        if local_name(choice) == "Choice" and len(choice):
            required = [choice.nsmap.get(p) or "" for p in (choice.get("Requires") or "").split()]
            is_read = all(namespace.endswith(_READ_EXTENSIONS) for namespace in required)
            if fallback is None or (is_read and not _has_unread_content(choice)):
                return choice
    return fallback


def _has_unread_content(choice: etree._Element) -> bool:
    return next(choice.iter(f"{{*}}{_UNREAD_CONTENT}"), None) is not None


def _replace(element: etree._Element, replacements: list[etree._Element]) -> None:
    parent = element.getparent()
    if parent is not None:
        index = parent.index(element)
        parent.remove(element)
        parent[index:index] = replacements
