"""Conversations to an adapter: config, data, plan, tiers, training, export.

Nothing heavy is imported here; torch and its company are loaded by the words that need them.
"""
