"""What is found in code: each case is a file or more, with marks where something has to be found, and nowhere else."""

# ruff: noqa: E501 # the marks stand in the lines that they are about

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pysoa.common.old_names import MOVED_MODULES, OLD_NAMES, replacement
from tests.support.upgrades import found, marked, report_of, write

IMPORTS: dict[str, str] = {
    "a module that has moved": """
        import pysoa.server.logging  #! works with a warning: pysoa.server.logging is now pysoa.common.logging
        from pysoa.common.transport.exceptions import MessageTooLarge  #! works with a warning: pysoa.common.transport.exceptions is now pysoa.common.transport.errors
        from pysoa.server import logging  #! works with a warning: pysoa.server.logging is now pysoa.common.logging
        from pysoa.common.serializer.exceptions import *  #! works with a warning: pysoa.common.serializer.exceptions is now pysoa.common.serializer.errors
    """,
    "a name that has moved": """
        from pysoa.client.settings import (
            ClientSettings,
            RedisClientSettings,  #! works with a warning: pysoa.client.settings.RedisClientSettings is now pysoa.client.settings.ClientSettings
        )
        from pysoa.client import settings
        settings.PolymorphicClientSettings  #! works with a warning: pysoa.client.settings.PolymorphicClientSettings is now pysoa.client.settings.ClientSettings
    """,
    "a name that is gone": """
        import pysoa.common.carrier_pigeon  #! must change: there is no pysoa.common.carrier_pigeon in this release
        from pysoa.common.carrier_pigeon import Pigeon  #! must change: there is no pysoa.common.carrier_pigeon in this release
        from pysoa.common import constants
        from pysoa.common.constants import ERROR_CODE_INVALID, ERROR_CODE_BAD_HAIR  #! must change: there is no pysoa.common.constants.ERROR_CODE_BAD_HAIR in this release
        constants.ERROR_CODE_UNKNOWN, constants.ERROR_CODE_OTHER  #! must change: there is no pysoa.common.constants.ERROR_CODE_OTHER in this release
    """,
    "names of today": """
        import pysoa
        import pysoa.client.client
        from pysoa import utils
        from pysoa.client import AsyncClient, Client, errors
        from pysoa.client.client import FutureSOAResponse, ServiceHandler
        from pysoa.common.types import Error
        from pysoa.server import Server
        from pysoa.server.action import Action, status
        print(pysoa.__version__, pysoa.client.client.Client, Server.__doc__, pysoa.common.errors.PySOAError)
    """,
    "names that are bound again and again": f"""
        from pysoa.client import settings
        {"; ".join(["settings = settings.parent"] * 60)}
        {"; ".join(f"a{i} = a{i + 1}" for i in range(200))}
        a200 = settings
        settings.RedisClientSettings, a0.RedisClientSettings
    """,
    "names of others": """
        import logging
        from pysoa_extras.server.logging import PySOALogContextFilter
        from my.pysoa.server import logging as other
        settings = object()
        settings.RedisClientSettings, logging.SyslogHandler
    """,
    "an import that may fail": """
        try:
            from pysoa.common.carrier_pigeon import Pigeon
        except ImportError:
            from pysoa.common.dove import Pigeon
        try:
            from pysoa.common.errors import Error
        except (ImportError, SyntaxError):
            from pysoa.server.logging import Error
        try:
            from pysoa.server.logging import SyslogHandler  #! works with a warning: pysoa.server.logging is now pysoa.common.logging
        finally:
            pass
    """,
    "names that mean something else there": """
        from pysoa.client import settings

        def configure(settings):
            return settings.RedisClientSettings

        class Holder:
            settings = None
            value = settings

        def own():
            settings = object()
            return settings.RedisClientSettings, [settings.RedisClientSettings for settings in ()]
    """,
    "patches": """
        from unittest import mock
        from pysoa.client.client import Client
        mock.patch("pysoa.client.client.Client.send_request")
        mock.patch("pysoa.server.logging.SyslogHandler")  #! must change: pysoa.server.logging.SyslogHandler is patched, which stands for pysoa.common.logging.SyslogHandler now, so that the patch has no effect
        mock.patch("pysoa.common.transport.redis_gateway.core.random")
        mock.patch("pysoa.common.transport.redis_gateway.core.randomness")  #! must change: there is no pysoa.common.transport.redis_gateway.core.randomness in this release
        mock.patch("pysoa.common.transport.redis_gateway.core.StandardRedisClient")  #! worth knowing: pysoa.common.transport.redis_gateway.core.StandardRedisClient is patched, and PySOA 2 does not go through it
        mock.patch("redis.Redis")  #! worth knowing: redis.Redis is patched, and PySOA 2 does not go through it
        mock.patch("my.service.run"), mock.patch.object(Client, "send_request"), mock.patch(Client)
    """,
}

CLASSES: dict[str, str] = {
    "a server of 0.42": """
        from pysoa.server import Server

        class Old(Server):
            def __init__(self, settings):  #! works with a warning: Old.__init__ does not take the number of the worker
                super(Old, self).__init__(settings)

            @classmethod
            def main(cls):  #! works with a warning: Old.main does not take the number of the worker
                super(Old, cls).main()

            def make_client(self, context):  #! worth knowing: Old.make_client makes a client of its own for each job
                return self.client_class({}, context=context)

            def handle_job_exception(self, exception, variables=None):  #! must change: nothing calls Old.handle_job_exception
                return super(Old, self).handle_job_exception(exception, variables)

            def handle_job_error_code(self, code, message, request, response):  #! must change: Old.handle_job_error_code is called with extra
                self.middleware  #! works with a warning: Server.middleware is now _middleware
                self.metrics.commit()  #! must change: recorders have no commit
    """,
    "a server of 1.4": """
        from pysoa.server.server import Server

        class New(Server):
            def __init__(self, settings, forked_process_id=None):
                super().__init__(settings, forked_process_id)
                self.middleware_names = []

            @classmethod
            def main(cls, *args):
                super().main(*args)

            def make_client(self, context):
                return super().make_client(context)

            def handle_job_error_code(self, code, message, request, response, extra=None):
                self.metrics.publish_all()

            def setup(self):
                self.database.commit(), self.http.metrics.commit()
    """,
    "the attributes of a server that 0.42 had": """
        from pysoa.server import Server
        from somewhere import client, handler

        class Old(Server):
            def complain(self, error):
                return self.handle_job_exception(error)  #! works with a warning: Server.handle_job_exception is now handle_unhandled_exception(exception, JobResponse)

        class Other(Server):
            middleware = ()

            def complain(self):
                return self.middleware, handler.middleware

        client.handlers["x"].middleware  #! works with a warning: middleware is now _middleware
        client._get_handler("x").middleware  #! works with a warning: middleware is now _middleware
        client._get_handler("x").transport.server.middleware  #! works with a warning: middleware is now _middleware
        client.handlers["x"]._middleware
    """,
    "actions that hide others": """
        from pysoa.server import Server
        from pysoa.server.action import Action
        from pysoa.server.action.status import StatusActionFactory

        class Mine(Action):
            pass

        class One(Server):
            action_class_map = {
                "status": StatusActionFactory("1"),
                "introspect": Mine,  #! worth knowing: the action 'introspect' of this service hides the one that every service has
                "twice": Mine,
                "twice": Action,  #! worth knowing: the action 'twice' is there 2 times, and the last one hides the others
            }

        class Two(Server):
            action_class_map = {
                "status": Mine,  #! worth knowing: the action 'status' of this service hides the one that every service has
                "other": Mine,
                **One.action_class_map,
            }
    """,
    "job middleware that takes dicts": """
        from pysoa.server.middleware import ServerMiddleware

        class Old(ServerMiddleware):
            def job(self, process_job):
                def handler(job_request):
                    job_request["context"]["user"] = 5  #! works with a warning: job middleware gets objects, not dicts: job_request['context']
                    job_request.get("client")  #! works with a warning: job middleware gets objects, not dicts: job_request.get
                    job_request["actions"].append({})  #! must change: job middleware gets objects, not dicts: job_request['actions'].append #! works with a warning: job middleware gets objects, not dicts: job_request['actions']
                    job_request["user"] = 5  #! must change: job middleware gets objects, not dicts: job_request['user']
                    job_request.setdefault("user", 5)  #! must change: job middleware gets objects, not dicts: job_request.setdefault
                    copy = dict(job_request)  #! must change: job middleware gets objects, not dicts: dict(job_request)
                    for key in job_request:  #! must change: job middleware gets objects, not dicts, which cannot be gone through
                        print(key)
                    for action in job_request["actions"]:  #! works with a warning: job middleware gets objects, not dicts: job_request['actions']
                        action["body"]["x"] = 5  #! works with a warning: job middleware gets objects, not dicts: action['body']
                    return process_job(job_request)
                return handler

        class Bound(ServerMiddleware):
            def job(self, process_job):
                self.process_job = process_job
                return self.process

            def process(self, request):
                return self.process_job(request["control"])  #! works with a warning: job middleware gets objects, not dicts: request['control']
    """,
    "job middleware that takes objects": """
        from pysoa.server.middleware import ServerMiddleware

        class New(ServerMiddleware):
            def job(self, process_job):
                def own(settings):
                    return settings["context"]

                def process(job_request):
                    job_request.context.get("user")
                    job_request.context["user"], job_request.actions[0].body["x"]
                    {"context": 5}["context"]
                    return process_job(job_request)

                return process

            def action(self, process_action):
                def process(action_request):
                    return action_request["body"]

                return process

        class NotOurs:
            def job(self, process_job):
                def process(job_request):
                    return job_request["context"]

                return process
    """,
    "checks of the status action": """
        from pysoa.server.action.status import BaseStatusAction, StatusActionFactory

        class Status(BaseStatusAction):
            def check_disk(self):  #! must change: Status.check_disk takes no request, and the status action fails for that
                pass

            @staticmethod
            def check_net():  #! must change: Status.check_net takes no request, and the status action fails for that
                pass

            @staticmethod
            def check_all(*args):
                pass

            def check_new(self, request):
                pass

            def disk(self):
                pass

        class Made(StatusActionFactory("1.0")):
            def check_disk(self):  #! must change: Made.check_disk takes no request, and the status action fails for that
                pass

        class Other(object):
            def check_disk(self):
                pass
    """,
    "server transports": """
        from pysoa.common.transport.base import ServerTransport

        class Old(ServerTransport):
            def __init__(self, service_name, metrics, **kwargs):  #! works with a warning: Old.__init__ does not take the number of the worker
                pass

        class Older(ServerTransport):
            def __init__(self, service_name, metrics, host="x"):  #! worth knowing: the third argument that servers give to Older is the number of the worker
                pass

        class New(ServerTransport):
            def __init__(self, service_name, metrics, instance_index=1, host="x"):
                pass

        class Wide(ServerTransport):
            def __init__(self, *args, **kwargs):
                pass
    """,
    "settings, serializers and handlers with methods of 0.42": """
        from pysoa.client.client import ServiceHandler
        from pysoa.common.serializer import MsgpackSerializer
        from pysoa.common.settings import Settings
        from pysoa.server.settings import RedisServerSettings  #! works with a warning: pysoa.server.settings.RedisServerSettings is now pysoa.server.settings.ServerSettings

        class Own(RedisServerSettings):
            def convert_limit(self, value):  #! works with a warning: Own.convert_limit: settings are no longer converted by methods
                return int(value)

        class Base(Settings):
            def convert_limit(self, value):  #! works with a warning: Base.convert_limit: settings are no longer converted by methods
                return int(value)

        class Pack(MsgpackSerializer):
            mime_type = "application/x-own"

            def default(self, obj):  #! must change: nothing calls Pack.default
                return obj

        class Handler(ServiceHandler):
            def _get_response(self, timeout):  #! must change: nothing calls Handler._get_response
                return None
    """,
    "plug-ins that settings name": """
        from conformity import fields  #! worth knowing: conformity is used here, and PySOA 2 does not install it as 1.x did
        from pysoa.client.middleware import ClientMiddleware
        from pysoa.common.plugins import accepts_kwargs
        from pysoa.common.transport.base import ClientTransport
        from pysoa.server.middleware import ServerMiddleware
        NAMED = ["case:Bare", "case.Plain", "case:Decorated", "case:Ours", "case:Pigeon", "case:Child", "case:Unsure"]

        class Bare(ServerMiddleware):  #! works with a warning: Bare does not say which keyword arguments settings may give it
            def __init__(self, level):
                pass

        class Plain(ServerMiddleware):
            def __init__(self):
                pass

        class NotNamed(ServerMiddleware):
            def __init__(self, level):
                pass

        @fields.ClassConfigurationSchema.provider(fields.Dictionary({}))
        class Decorated(ClientMiddleware):
            def __init__(self, level):
                pass

        class Child(Decorated):
            def __init__(self, level, depth):
                pass

        @accepts_kwargs(object())
        class Ours(ClientMiddleware):
            def __init__(self, level):
                pass

        class Pigeon(ClientTransport):  #! works with a warning: Pigeon does not say which keyword arguments settings may give it
            pass

        @registered
        class Unsure(ClientMiddleware):
            def __init__(self, level):
                pass
    """,
    "classes that extend what is not known": """
        from company.pysoa import Server
        from pysoa.server import Server as Base

        class Ours(Server):
            def __init__(self, settings):
                pass

        Base = make(Base)

        class Other(Base):
            def __init__(self, settings):
                pass
    """,
}

SEVERAL_FILES: dict[str, dict[str, str]] = {
    "a base class in another file": {
        "shop/__init__.py": "",
        "shop/base.py": """
            from pysoa.server import Server as Base

            class Server(Base):
                pass
        """,
        "shop/again.py": "from .base import Server as Again",
        "shop/api/__init__.py": "",
        "shop/api/server.py": """
            from ..again import Again
            from shop import base

            class Shop(Again):
                @classmethod
                def main(cls):  #! works with a warning: Shop.main does not take the number of the worker
                    pass

            class Other(base.Server):
                @classmethod
                def main(cls):  #! works with a warning: Other.main does not take the number of the worker
                    pass
        """,
    },
    "classes that extend each other": {
        "one.py": """
            from two import Two
            class One(Two):
                def __init__(self, settings):
                    pass
        """,
        "two.py": """
            from one import One
            class Two(One):
                pass
        """,
    },
}


@pytest.mark.parametrize("code", [*IMPORTS.values(), *CLASSES.values()], ids=[*IMPORTS, *CLASSES])
def test_what_is_marked_is_found_and_nothing_else(code: str, tmp_path: Path) -> None:
    files = {"case.py": code}
    write(tmp_path, files)

    assert found(tmp_path) == marked(files)


@pytest.mark.parametrize("files", SEVERAL_FILES.values(), ids=SEVERAL_FILES)
def test_classes_are_followed_through_the_files_of_a_project(files: Mapping[str, str], tmp_path: Path) -> None:
    write(tmp_path, files)

    assert found(tmp_path) == marked(files)


@pytest.mark.parametrize("path", [*OLD_NAMES, *(f"{module}:AnyName" for module in MOVED_MODULES)])
def test_each_old_name_of_the_table_is_found_in_an_import_and_in_settings(path: str, tmp_path: Path) -> None:
    module, _, name = path.partition(":")
    now = replacement(path)
    assert now is not None
    write(
        tmp_path,
        {
            "code.py": f"from {module} import {name}",
            "settings.py": f"SOA_SERVER_SETTINGS = {{'transport': {{'path': '{path}'}}}}",
        },
    )

    findings = report_of(tmp_path).findings

    assert [(each.severity.value, each.line) for each in findings] == [("works with a warning", 1)] * 2
    assert all(" is now " in each.what for each in findings)
    assert findings[1].what == f"{path} is now {now.advice()}"
