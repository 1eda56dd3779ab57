"""The application: one workspace that is indexed, searched and asked."""

from unirag.app.app import App

__all__ = ["App"]
