"""A value that is built when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Lazy"]

T = TypeVar("T")


class Lazy(Generic[T]):
    """A value that is built once, when a thread first needs it."""

    def __init__(self, lock: threading.RLock, build: Callable[[], T], value: T | None) -> None:
        self._lock, self._build = lock, build
        self._built, self._value = value is not None, value

    def get(self) -> T:
        if not self._built:
            with self._lock:
                if not self._built:
                    self._value, self._built = self._build(), True
        return self._value  # type: ignore[return-value]

    @property
    def value(self) -> T | None:
        """The value if it was built, else None."""
        return self._value
