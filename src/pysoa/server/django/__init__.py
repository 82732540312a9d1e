"""For services that live in a Django project: caches, and the care of database connections."""
