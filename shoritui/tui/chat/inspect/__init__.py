"""The inspector: what the model reads next, block by block and token by token."""
