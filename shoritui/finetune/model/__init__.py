"""A frozen base with an adapter on it, and the maths of one training step."""
