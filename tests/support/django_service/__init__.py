"""A Django project with a service in it, for tests."""
