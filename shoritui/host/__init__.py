"""The machine: memory, cores, pipes, and why a process died."""
