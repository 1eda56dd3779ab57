"""All settings, in one typed tree. Nothing else reads the environment."""

from unirag.settings.load import ChatSettings, Dtype, Settings, load_settings

__all__ = ["ChatSettings", "Dtype", "Settings", "load_settings"]
