"""Basics that every room may use: errors, names, clock, redaction, storage errors."""
