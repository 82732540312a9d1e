"""Fakes, builders and real parts (brokers, proxies, processes) shared by the tests."""
