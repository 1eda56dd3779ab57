"""The student's web app. `mount` adds it to the service."""

from ui.app import mount

__all__ = ["mount"]
