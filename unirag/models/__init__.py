"""Models: profiles, sources, download, conversion, devices and the loading of encoders."""
