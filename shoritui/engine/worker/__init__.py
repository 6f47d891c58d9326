"""The worker process that runs the model, and the client that talks to it."""
