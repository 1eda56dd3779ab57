"""The exceptions that unirag raises on purpose.

    UniragError
    ├── BadInput          a file, field or argument cannot be used     exit 2, HTTP 400
    │   └── BadSetting    a setting is unknown or out of its bounds    exit 2, HTTP 400
    ├── Missing           a model, extra or file is not installed      exit 3, HTTP 503
    ├── Busy              another process or request holds a resource  exit 2, HTTP 409
    └── Mismatch          stored data was made by another encoder      exit 2, HTTP 409

A message says what came, what was expected and what to do, in that order, on one line if it fits.
Each boundary (command line, HTTP) maps these classes to exit codes and statuses in one place.
"""

from __future__ import annotations

__all__ = ["BadInput", "BadSetting", "Busy", "Mismatch", "Missing", "UniragError"]


class UniragError(Exception):
    """The base class: catch it to catch every error that unirag raises on purpose."""

    exit_code = 1


class BadInput(UniragError):
    """A file, field or argument from outside cannot be used."""

    exit_code = 2


class BadSetting(BadInput):
    """A setting is unknown, of the wrong type, or out of its bounds."""


class Missing(UniragError):
    """A model, extra or file is missing; the message holds the command that gets it."""

    exit_code = 3


class Busy(UniragError):
    """Another process uses the workspace or indexes in it; the message says which one."""

    exit_code = 2


class Mismatch(UniragError):
    """Another encoder wrote the collection; the message holds the command that repairs it."""

    exit_code = 2
