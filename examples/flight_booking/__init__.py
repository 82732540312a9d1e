"""The service ``flight_booking``: finds flights and books them."""

__version__ = "1.0.0"
