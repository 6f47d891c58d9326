"""Conversations to packs of token ids, and what is found in them."""
