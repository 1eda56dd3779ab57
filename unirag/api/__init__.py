"""The service: REST under /v1. Only this package and `ui` import FastAPI."""
