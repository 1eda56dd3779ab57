"""The student's web app."""
