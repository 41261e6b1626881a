"""The shop's views, one file per subject."""
