"""The settings of the project. ``DJANGO_SERVICE`` is JSON: some of them, and others than these."""

from __future__ import annotations

import json
import os
from typing import Any

DATABASES: dict[str, Any] = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CACHES = {
    "default": {"BACKEND": "pysoa.server.django.cache.PySOARequestScopedMemoryCache", "LOCATION": "request"},
    "process": {"BACKEND": "pysoa.server.django.cache.PySOAProcessScopedMemoryCache", "LOCATION": "process"},
    "noted": {"BACKEND": "tests.support.django_service.caches.NotedCache"},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["tests.support.django_service"]
SECRET_KEY = "for tests only"
USE_TZ = True

SOA_SERVER_SETTINGS: dict[str, Any] = {
    "transport": {
        "kwargs": {
            "backend_type": "redis.standard",
            "backend_layer_kwargs": {"hosts": [os.environ.get("REDIS_URL", "redis://localhost:6379")]},
            "receive_timeout_in_seconds": 0.5,
        },
    },
    "error_detail": "full",
}

globals().update(json.loads(os.environ.get("DJANGO_SERVICE", "{}")))
