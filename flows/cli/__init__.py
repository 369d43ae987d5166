"""Commands: their input and their output."""
