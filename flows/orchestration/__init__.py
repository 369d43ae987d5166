"""Prefect: server, run lock, steps, artifacts, events, task runs."""
