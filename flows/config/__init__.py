"""What people write, parsed and validated once: connections, contracts, settings."""
