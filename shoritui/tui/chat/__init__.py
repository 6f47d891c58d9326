"""The chat app: its screen, its actions, its panels."""
