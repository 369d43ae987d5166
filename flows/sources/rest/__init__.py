"""REST APIs as sources."""
