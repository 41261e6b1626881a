"""What items say, show and sound like: made into vectors by jobs, kept, and asked."""
