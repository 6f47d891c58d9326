"""How the next token is chosen: values, the chain they make, what may never be written."""
