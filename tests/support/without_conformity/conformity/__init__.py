"""Stands in for Conformity, where that is not installed, in the services of the test plan vectors."""
