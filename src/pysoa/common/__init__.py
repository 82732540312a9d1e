"""What clients and servers both speak; knows neither client nor server."""
