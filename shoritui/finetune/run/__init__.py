"""Training itself: steps, tiers, what is kept on disk, and how it goes on."""
