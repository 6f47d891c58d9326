"""The KV cache: what it holds, what to evaluate, what is kept on disk."""
