"""Loads, replays and derived tables: functions over a frozen plan."""
