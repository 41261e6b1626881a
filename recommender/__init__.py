"""The one Django app: it owns every table. See docs/architecture.md for the way through it."""
