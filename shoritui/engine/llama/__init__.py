"""llama.cpp from Python: the library, a model, a context, and what they take of the machine."""
