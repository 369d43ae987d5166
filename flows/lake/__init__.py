"""Contracts, quarantine, Delta tables and the catalog. Knows nothing of what is built from them."""
