"""Pytest fixtures for services."""
