"""The service: REST under /v1 and a plain page. Nothing else imports FastAPI."""
