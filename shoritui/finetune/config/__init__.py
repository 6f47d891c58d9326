"""The training config: its words and its TOML."""
