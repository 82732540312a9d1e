"""Moves messages between clients and servers; the only floor that talks to Redis."""
