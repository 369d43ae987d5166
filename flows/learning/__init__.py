"""Declared features: their list, their values at a time, and the check of the SQL that computes them."""
