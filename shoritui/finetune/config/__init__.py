"""The training config: its words, its TOML, and axolotl's YAML in and out."""
