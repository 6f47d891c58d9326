"""What the model keeps in mind of a long story: summaries, and pinned messages."""
