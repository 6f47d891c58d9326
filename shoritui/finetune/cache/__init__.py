"""Trained tiers on disk, found by what they were made from; and the digests that name that."""
