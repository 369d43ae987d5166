"""Flows that bring the warehouse up to date: extract and load, build, gate, publish."""
