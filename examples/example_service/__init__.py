"""The service ``example``: squares numbers, tells how it is, waits, and calls other services."""

__version__ = "1.0.0"
