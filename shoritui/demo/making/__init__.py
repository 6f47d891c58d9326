"""How the small model was made. Not part of the wheel."""
