"""Readers of document formats, one file per format.

`READERS` lists them in order of precedence: the first reader that claims a file reads it. `scan`
yields the documents of a file, a folder or an archive, and the files that it rejects.
"""

from __future__ import annotations

from data.readers.scan import READERS, Rejected, scan

__all__ = ["READERS", "Rejected", "scan"]
