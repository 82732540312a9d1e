"""What is found in settings: each case is a file or more, with marks where something has to be found."""

# ruff: noqa: E501 # the marks stand in the lines that they are about

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pysoa.cli.upgrade.settings import _WITHOUT_MEANING
from pysoa.common.transport.redis_gateway import connecting
from tests.support.upgrades import found, marked, write

SERVER = """
    from pysoa.server.server import Server

    class Shop(Server):
        service_name = "shop"
"""

CASES: dict[str, dict[str, str]] = {
    "keys that no settings have": {
        "server.py": SERVER,
        "settings.py": """
            SOA_SERVER_SETTINGS = {
                "transport": {"kwargs": {"backend_type": "redis.standard", "queue_capcity": 5}},  #! must change: this Redis transport does not take queue_capcity
                "middlewares": [],  #! must change: server settings have no key middlewares
                "client_routing": {
                    "stock": {
                        "transport": {"kwargs": {"backend_type": "redis.standard", "protocol_version": 1}},
                        "cache": True,  #! must change: client settings have no key cache
                        "transport_cache_time_in_seconds": 60,  #! works with a warning: the setting transport_cache_time_in_seconds does nothing: transports are kept
                    },
                },
                "heartbeat_file": None,
            }
        """,
    },
    "keys of the service's own": {
        "server.py": """
            from pysoa.server.server import Server
            from pysoa.server.settings import ServerSettings

            class Base(ServerSettings):
                schema = {"limit": object()}

            class Own(Base):
                depth: int = 3
                defaults = {"limit": 5, "colour": "red"}  #! must change: server settings have no key colour

            class Shop(Server):
                settings_class = Own
        """,
        "settings.py": """
            SOA_SERVER_SETTINGS = {"limit": 5, "depth": 3, "width": 5}  #! must change: server settings have no key width
        """,
    },
    "keys that a class of others may have": {
        "server.py": """
            from pysoa.server.server import Server
            from company.settings import OurSettings

            class Shop(Server):
                settings_class = OurSettings
        """,
        "settings.py": "SOA_SERVER_SETTINGS = {'width': 5}",
    },
    "keys of a schema that cannot be read": {
        "server.py": """
            from pysoa.server.server import Server
            from pysoa.server.settings import ServerSettings

            class Own(ServerSettings):
                schema = dict(make_schema())

            class Shop(Server):
                settings_class = Own
        """,
        "settings.py": "SOA_SERVER_SETTINGS = {'width': 5}",
    },
    "keys of a server that is elsewhere": {"settings.py": "SOA_SERVER_SETTINGS = {'width': 5}"},
    "a client with a settings class of its own": {
        "client.py": """
            from pysoa.client import Client
            Client({"shop": {"width": 5}}, settings_class=make_settings)
        """,
    },
    "arguments of Redis transports": {
        "settings.py": """
            STANDARD = {
                "backend_type": "redis",  #! must change: there is no backend_type 'redis'
                "redis_port": 6380,  #! must change: the Redis transports do not take redis_port
                "serializer_config": {"path": "pysoa.common.serializer:JSONSerializer"},  #! works with a warning: the setting serializer_config is now default_serializer_config
                "queue_full_retries": 3,  #! worth knowing: a server gives up on a full reply queue after half a second, whatever queue_full_retries says
                "backend_layer_kwargs": {
                    "hosts": [("localhost", 6379), "other"],
                    "redis_port": 6380,
                    "redis_db": 2,
                    "socket_keepalive": True,  #! must change: backend_layer_kwargs has no socket_keepalive
                    "connection_kwargs": {
                        "socket_timeout": 5,  #! worth knowing: socket_timeout in connection_kwargs has no meaning any more
                        "password": "x",
                    },
                },
            }
            SOA_SERVER_SETTINGS = {
                "transport": {
                    "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
                    "kwargs": STANDARD,
                },
            }
        """,
    },
    "what is for Sentinels": {
        "settings.py": """
            kwargs = dict(
                backend_type="redis.standard",
                backend_layer_kwargs=dict(
                    sentinel_services=["main"],  #! must change: sentinel_services is for Sentinels, and is refused with redis.standard
                ),
            )
            SOA_SERVER_SETTINGS = {"transport": {"kwargs": kwargs}}
            SOA_CLIENT_SETTINGS = {
                "one": {
                    "transport": {
                        "kwargs": {
                            "backend_type": "redis.sentinel",
                            "backend_layer_kwargs": {
                                "hosts": [
                                    "sentinel-1",  #! must change: the Sentinel 'sentinel-1', given by name alone, is looked for at port 26379, not 6379
                                    ("sentinel-2", 6379),
                                    "redis://sentinel-3:6379",
                                ],
                                "sentinel_services": ["main"],
                            },
                        },
                    },
                },
                "two": {
                    "transport": {
                        "kwargs": {
                            "backend_type": "redis.sentinel",
                            "backend_layer_kwargs": {"hosts": ["sentinel-1"], "redis_port": 26380},
                        },
                    },
                },
                "three": {
                    "transport": {
                        "kwargs": {
                            "backend_type": "redis.sentinel",
                            "backend_layer_kwargs": {"hosts": ["sentinel-1"], **MORE},
                        },
                    },
                },
            }
        """,
    },
    "import paths": {
        "settings.py": """
            SOA_SERVER_SETTINGS = {
                "transport": {"path": "pysoa.common.transport.http:HttpServerTransport"},  #! must change: there is no pysoa.common.transport.http:HttpServerTransport in this release
                "middleware": [
                    {"path": "pysoa.server.middleware.ServerMiddleware"},
                    {"path": "pysoa.server.middleware:JobMiddleware"},  #! must change: there is no pysoa.server.middleware:JobMiddleware in this release
                    {"path": "shop.middleware:Own"},
                ],
                "coroutine_middleware": [{"path": "pysoa.server.coroutine:Default"}],  #! must change: there is no pysoa.server.coroutine:Default in this release
                "metrics": {"path": "pymetrics.recorders.default:DefaultMetricsRecorder"},  #! worth knowing: pymetrics is used here, and PySOA 2 does not install it as 1.x did
                "logging": {
                    "filters": {"one": {"()": "pysoa.server.logging.PySOALogContextFilter"}},  #! works with a warning: pysoa.server.logging.PySOALogContextFilter is now pysoa.common.logging.PySOALogContextFilter
                    "handlers": {
                        "one": {"class": "pysoa.common.logging.SyslogHandler"},
                        "two": {"class": "pysoa.common.logging.Syslog"},  #! must change: there is no pysoa.common.logging.Syslog in this release
                        "three": {"class": "logging.StreamHandler"},
                    },
                },
                "client_routing": {
                    "stock": {
                        "transport": {
                            "path": "pysoa.common.transport:LocalClientTransport",  #! works with a warning: pysoa.common.transport:LocalClientTransport is now pysoa.common.transport.local.LocalClientTransport
                            "kwargs": {
                                "server_class": "stock:Server",
                                "server_settings": {
                                    "metrics": {"path": "pysoa.nothing:Recorder"},  #! must change: there is no pysoa.nothing:Recorder in this release
                                },
                            },
                        },
                        "metrics": {"path": "pymetrics.recorders.noop:NonOperationalMetricsRecorder"},
                    },
                },
            }
        """,
    },
    "time limits below the block time": {
        "settings.py": """
            SOA_SERVER_SETTINGS = {
                "transport": {"kwargs": {"backend_type": "redis.standard"}},
                "harakiri": {"timeout": 4, "shutdown_grace": 5},  #! worth knowing: harakiri.timeout 4 is not above the receive timeout 5, which ended idle workers of 1.x
            }
        """,
        "fine.py": """
            SOA_SERVER_SETTINGS = {
                "transport": {"kwargs": {"backend_type": "redis.standard", "receive_timeout_in_seconds": 2}},
                "harakiri": {"timeout": 4, "shutdown_grace": 5},
            }
        """,
        "off.py": "SOA_SERVER_SETTINGS = {'harakiri': {'timeout': 0}}",
        "local.py": """
            SOA_SERVER_SETTINGS = {
                "transport": {"path": "pysoa.common.transport.local:LocalServerTransport"},
                "harakiri": {"timeout": 4},
            }
        """,
    },
    "settings that go by the name of settings": {
        "settings.py": """
            settings = {"transport": {"kwargs": {"backend_type": "redis"}}}  #! must change: there is no backend_type 'redis'
        """,
        "other.py": """
            settings = {"transport": {"kwargs": {"speed": "redis"}}, "harakiri": {"timeout": 1}}
        """,
    },
    "settings that are put together": {
        "base.py": """
            from os import environ
            REDIS = {"backend_type": "redis", "queue_capacity": environ["CAPACITY"]}  #! must change: there is no backend_type 'redis'
            CHANGED = {"backend_type": "redis"}
            if environ:
                CHANGED = {}
        """,
        "settings.py": """
            import base
            from base import CHANGED, REDIS
            ORDINARY = {"harakiri": {"timeout": 60}}
            SOA_SERVER_SETTINGS = {**ORDINARY, "transport": {"kwargs": {**base.REDIS, "colour": 5}}}  #! must change: this Redis transport does not take colour
            SOA_CLIENT_SETTINGS = {"one": {"transport": {"kwargs": REDIS | {"depth": 5}}}, "two": CHANGED}  #! must change: this Redis transport does not take depth
        """,
    },
    "settings in calls": {
        "code.py": """
            from pysoa.client import Client
            from pysoa.client.settings import ClientSettings
            from pysoa.server.settings import ServerSettings

            class Own(Client):
                pass

            def make():
                config = {"shop": {"transport": {"kwargs": {"backend_type": "redis"}}}}  #! must change: there is no backend_type 'redis'
                return Own(config=config)

            Client({"shop": {"transport": {"kwargs": {"backend_type": "valkey"}}}})  #! must change: there is no backend_type 'valkey'
            ClientSettings({"transport": {"kwargs": {"backend_type": "one"}}})  #! must change: there is no backend_type 'one'
            ServerSettings(data={"transport": {"kwargs": {"backend_type": "two"}}})  #! must change: there is no backend_type 'two'
            Client(config_of_others), Client(), dict(transport={"kwargs": {"backend_type": "three"}})
        """,
    },
    "values that only the program knows": {
        "settings.py": """
            import os
            SOA_SERVER_SETTINGS = {
                "transport": {"path": os.environ["PATH"], "kwargs": {"backend_type": "x"}},
                "harakiri": {"timeout": int(os.environ["LIMIT"])},
                "middleware": [{"path": NAME}, *MORE],
                os.environ["KEY"]: 5,
                5: 6,
            }
            SOA_CLIENT_SETTINGS = make()
            settings: dict = None
        """,
    },
    "client settings of another shape": {
        "settings.py": """
            SOA_CLIENT_SETTINGS = {"config": {"shop": {"transport": {}}}, "expansions": {"depth": 5}}
        """,
    },
    "names that go round in a circle": {
        "settings.py": """
            A = B
            B = A
            SOA_SERVER_SETTINGS = {"transport": A, **B}
        """,
    },
}


@pytest.mark.parametrize("files", CASES.values(), ids=CASES)
def test_what_is_marked_is_found_and_nothing_else(files: Mapping[str, str], tmp_path: Path) -> None:
    write(tmp_path, files)

    assert found(tmp_path) == marked(files)


def test_what_is_said_to_have_no_meaning_has_none() -> None:
    assert set(_WITHOUT_MEANING) <= connecting._WITHOUT_MEANING
