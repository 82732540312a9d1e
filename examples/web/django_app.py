"""Django in one file: plain views with the blocking ``Client``, asynchronous views with ``AsyncClient``.

``REDIS_URL=redis://127.0.0.1:6379 python django_app.py runserver``, in this folder, with the service ``example``
running, or ``uvicorn django_app:asgi`` for the asynchronous views.
"""

import os
import sys
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils.deprecation import MiddlewareMixin

from pysoa.client import AsyncClient, Client
from pysoa.common.errors import PySOAError

settings.configure(
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    MIDDLEWARE=[f"{__name__}.PySOAErrors"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY", "for an example only"),
)

SERVICES = {
    "example": {
        "transport": {
            "kwargs": {
                "backend_type": "redis.standard",
                "backend_layer_kwargs": {
                    "hosts": [os.environ.get("REDIS_URL", "redis://localhost:6379")],
                    "connection_kwargs": {"client_name": "django_app"},  # for CLIENT LIST
                },
            },
        },
    },
}

# Neither opens a connection before it is used, so the process may fork after this.
client = Client(SERVICES)  # for plain views, in any thread
async_client = AsyncClient(SERVICES)  # for asynchronous views, in the one loop of an ASGI server


def context_of(request: HttpRequest) -> dict[str, Any]:
    """What actions see of a request, whatever they are called by."""
    return {"user": request.headers.get("x-user")}


def square(request: HttpRequest, number: int) -> HttpResponse:
    services = client.with_context(context_of(request))
    return JsonResponse(services.call_action("example", "square", {"number": number}, timeout=2).body)


async def square_async(request: HttpRequest, number: int) -> HttpResponse:
    services = async_client.with_context(context_of(request))
    response = await services.call_action("example", "square", {"number": number}, timeout=2)
    return JsonResponse(response.body)


class PySOAErrors(MiddlewareMixin):
    """Middleware of Django, which answers for views whose call fails."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, PySOAError):
            return None
        status = {"not_sent": 503, "unknown": 504}.get(error.outcome, 502)
        return JsonResponse({"error": type(error).__name__}, status=status)


urlpatterns = [path("squares/<int:number>", square), path("async/squares/<int:number>", square_async)]

django.setup()
wsgi, asgi = get_wsgi_application(), get_asgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
