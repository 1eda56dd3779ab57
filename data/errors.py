"""Every error that unirag raises on purpose.

    UniragError
    ├── BadInput          what came from outside cannot be used        exit 2, HTTP 400
    │   └── BadSetting    a setting is unknown or out of its bounds    exit 2, HTTP 400
    ├── Missing           a model, extra or file has to be put there   exit 3, HTTP 503
    ├── Busy              another process or request holds it          exit 2, HTTP 409
    └── Mismatch          stored data was made by another encoder      exit 2, HTTP 409

A message says what came, what was expected and what to do, in that order, on one line where it
fits. Exit codes and HTTP statuses are mapped from these classes once, at each boundary.
"""

from __future__ import annotations

__all__ = ["BadInput", "BadSetting", "Busy", "Mismatch", "Missing", "UniragError"]


class UniragError(Exception):
    """Root of the tree: catch this to catch everything that unirag raises on purpose."""

    exit_code = 1


class BadInput(UniragError):
    """What came from outside (a file, a field, an argument) cannot be used."""

    exit_code = 2


class BadSetting(BadInput):
    """A setting is unknown, of the wrong type, or out of its bounds."""


class Missing(UniragError):
    """Something has to be fetched, installed or made first; the message holds the command."""

    exit_code = 3


class Busy(UniragError):
    """Another process holds the home folder, or indexes in it; the message says which one."""

    exit_code = 2


class Mismatch(UniragError):
    """A collection was written by another encoder; the message holds the command that mends it."""

    exit_code = 2
