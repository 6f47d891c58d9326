"""What a run would refuse of a config's data, found before it; and what is mended by itself."""
