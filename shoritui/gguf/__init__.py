"""GGUF files of llama models, and the Hugging Face folders that hold the same models.

    file.gguf ─ header ─ read ──▶ shape, vocabulary, rows ──▶ folder ──▶ config.json, *.safetensors
    file.gguf ◀─ write ── llama ◀── shape, vocabulary ◀── checkpoint ◀── the same

Nothing is imported here: numpy, gguf and sentencepiece are loaded by the modules that need them.
"""
