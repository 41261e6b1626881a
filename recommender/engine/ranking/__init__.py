"""From candidates to what is shown: bought together, diversity, and reasons."""
