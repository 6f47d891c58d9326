"""What a run will take, before it begins: packs, steps, memory, time."""
