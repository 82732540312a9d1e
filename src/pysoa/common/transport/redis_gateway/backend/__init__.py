"""Finds the Redis masters that hold the queues, and keeps connections to them."""
