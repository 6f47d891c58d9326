"""What is chosen for all stories: settings, keys, and the model that writes."""
