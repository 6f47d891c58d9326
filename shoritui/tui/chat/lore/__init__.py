"""Lore in the app: why it fired, and lorebooks taken into a story."""
