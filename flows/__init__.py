"""Flows that bring the warehouse up to date: extract and load, build, gate, publish."""

import logging

logging.getLogger(__name__).setLevel(logging.INFO)  # in a scheduled run nobody else does
