"""unirag finds the textbook figures and passages that answer a question and explains them.

import unirag

app = unirag.open(home="my-home", profile="mini")
app.index(["my-textbooks"])
found = app.search("why does a prism split light?", images=["sketch.png"], limit=5)
answer = app.ask("why does a prism split light?")
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unirag.app import App

__all__ = ["__version__", "open"]

__version__ = "0.1.0"


def open(home: Path | str | None = None, profile: str | None = None, **settings: Any) -> App:  # noqa: A001 - reads as unirag.open
    """Open a home folder; other settings by name as in `unirag.yaml`.

    Raises `data.errors.Busy` where another process has it open, `BadSetting` for unknown settings.
    """
    from unirag.app import App
    from unirag.settings import Settings, load_settings

    path = Path(home) if home is not None else None
    return App(load_settings(home=path, profile=profile, **settings))
