"""GGUF files of llama models, and the folders of Hugging Face that hold the same model.

Nothing is imported here: numpy, gguf and sentencepiece are loaded by the modules that need them.
"""
