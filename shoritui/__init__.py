"""ShoriTUI: a terminal home for multi-character roleplay with a local language model."""

__version__ = "0.1.0"
