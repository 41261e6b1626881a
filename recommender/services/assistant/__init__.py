"""The shopping assistant: a wish in plain words, items with reasons, and refining."""
