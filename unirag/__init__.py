"""unirag finds the textbook figures and passages that answer a question and explains them.

import unirag

app = unirag.open(home="my-home", profile="mini")
app.index(["my-textbooks"])
answer = app.ask("Why does a prism split light?")
sketch = unirag.QueryImage.from_file("sketch.png")
hits = app.search(unirag.Query("forces on a crate", images=[sketch])).hits
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.records import Query, QueryAudio, QueryImage

if TYPE_CHECKING:
    from unirag.app import App

__all__ = ["Query", "QueryAudio", "QueryImage", "__version__", "open"]

__version__ = "0.1.0"


def open(home: Path | str | None = None, profile: str | None = None, **settings: Any) -> App:  # noqa: A001 - reads as unirag.open
    """Open a workspace folder; other settings by name as in `unirag.yaml`.

    Raise `data.errors.Busy` if another process has it open, `BadSetting` for an unknown setting.
    """
    from unirag.app import App
    from unirag.settings import load_settings

    path = Path(home) if home is not None else None
    return App.open(load_settings(home=path, profile=profile, **settings))
