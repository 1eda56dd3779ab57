"""One file per format; `READERS` holds them in the order in which they are asked.

`scan` walks a file, a folder or an archive and gives its documents, and what it turned down.
"""

from __future__ import annotations

from data.readers.scan import READERS, Rejected, scan

__all__ = ["READERS", "Rejected", "scan"]
