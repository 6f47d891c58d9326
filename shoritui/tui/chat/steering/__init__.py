"""What steers the story without speaking in it: scenes, notes, the instruction, and other talk."""
