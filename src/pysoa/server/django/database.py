"""Looks after the database connections of the calling thread, as a server does around each job.

For threads and processes that a service starts itself: nobody else knows of their connections.
"""

from __future__ import annotations

__all__ = ("django_close_old_database_connections", "django_reset_database_queries")


def django_close_old_database_connections() -> None:
    """Close the connections of this thread that are broken, or older than ``CONN_MAX_AGE``.

    One in a transaction, or otherwise not in autocommit mode, is left alone. What goes wrong is logged. Without Django
    there is nothing to do.
    """
    try:
        from pysoa.server.internal import django_connections
    except ModuleNotFoundError:
        return
    django_connections.close_old_connections()


def django_reset_database_queries() -> None:
    """Forget the queries that Django has noted of this thread, as it does with ``DEBUG``."""
    try:
        from pysoa.server.internal import django_connections
    except ModuleNotFoundError:
        return
    django_connections.forget_queries()
