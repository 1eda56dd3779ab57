"""The contents of `data:` links, which hold a picture inside a page."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_to_bytes

from data.errors import BadInput

__all__ = ["data_of_uri"]

_MAX_CHARACTERS = 32 * 1024**2


def data_of_uri(href: str) -> bytes:
    """Return the bytes of a `data:` link. Raises `BadInput` if it is broken or too long."""
    head, comma, body = href.partition(",")
    short_href = head[:60]
    if not head.startswith("data:") or not comma or len(body) > _MAX_CHARACTERS:
        raise BadInput(f"{short_href}: expected a picture of at most 24 MB; save it as a file")
    data = unquote_to_bytes(body)
    if not head.rstrip().endswith(";base64"):
        return data
    try:
        return base64.b64decode(data)
    except (binascii.Error, ValueError):
        raise BadInput(f"{short_href}: broken base64; save the picture as a file") from None
