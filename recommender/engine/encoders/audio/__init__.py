"""Audio encoders: sounds to vectors."""
