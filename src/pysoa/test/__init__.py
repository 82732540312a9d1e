"""For people who test services."""
