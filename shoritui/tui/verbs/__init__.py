"""What the actions do, one function each: `run` of a row in the table of actions.

They do not know keys or commands; each takes the app and what followed the slash command.
"""
