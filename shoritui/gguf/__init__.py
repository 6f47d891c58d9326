"""GGUF files, and the Hugging Face folders that hold the same models.

    file.gguf ─ header ─ read ──▶ config, vocabulary, rows ──▶ folder ──▶ config.json, *.safetensors
    file.gguf ◀─ write ─ model ◀─ converted ◀── architectures, vocabulary, checkpoint ◀── the same

Nothing is imported here: numpy, gguf and sentencepiece are loaded by the modules that need them.
"""
