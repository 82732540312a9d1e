"""The actions of the service, one module for each."""
