"""Conversations to packs of token ids, and what can be told about them."""
