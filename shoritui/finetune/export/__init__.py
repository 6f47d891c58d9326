"""Out of training: adapters and models as GGUF and PEFT files, and the proof that they agree."""
