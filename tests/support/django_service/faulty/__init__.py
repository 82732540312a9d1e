"""A database backend whose connections cannot be closed."""
