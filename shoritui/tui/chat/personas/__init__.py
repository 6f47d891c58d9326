"""Personas in the app: who the user is, written, put away and changed in the middle of a story."""
