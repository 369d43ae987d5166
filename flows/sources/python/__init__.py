"""Sources of the user's own Python."""
