"""The student's web app. `mount` adds it to the service, whose page it is."""

from ui.app import mount

__all__ = ["mount"]
