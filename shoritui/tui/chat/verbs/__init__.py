"""What the actions do, a function each: `run` of a row in the table of actions."""
