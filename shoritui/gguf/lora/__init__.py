"""LoRA adapters: PEFT's folder of one, read without torch, and the GGUF that llama.cpp puts on.

    adapter_config.json, adapter_model.safetensors ─ peft ──▶ factors ─ write ──▶ adapter.gguf
                                          base.gguf ─ layout ──▶ names, rows ──┘

Nothing is imported here: numpy and gguf are loaded by the modules that need them.
"""
