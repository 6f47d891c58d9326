"""What is fuzzed: one module for each kind of file or string that comes from outside."""
