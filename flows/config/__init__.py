"""Connections, contracts and settings as people write them, parsed and validated once."""
