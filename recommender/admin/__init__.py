"""The learning console."""
