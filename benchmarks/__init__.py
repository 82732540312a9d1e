"""Measures PySOA against the raw floor: the same Redis commands with Python only moving bytes."""
