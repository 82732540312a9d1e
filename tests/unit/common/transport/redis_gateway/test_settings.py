from __future__ import annotations

from typing import Any

import pytest

from pysoa.client.settings import ClientSettings
from pysoa.common.transport.redis_gateway.settings import RedisServerTransportSchema, RedisTransportSchema
from pysoa.server.settings import ServerSettings

STANDARD = {"backend_type": "redis.standard"}
SENTINEL = {"backend_type": "redis.sentinel"}


def hosts(*values: Any) -> dict[str, Any]:
    return {**STANDARD, "backend_layer_kwargs": {"hosts": list(values)}}


def layer(**values: Any) -> dict[str, Any]:
    return {**STANDARD, "backend_layer_kwargs": values}


ALLOWED_HOSTS = 'give ("name", port), "name", or a redis://, rediss:// or unix:// URL'

BAD_ON_BOTH_SIDES = [
    ({}, "kwargs.backend_type: Missing key: backend_type"),
    (
        {"backend_type": "redis.cluster"},
        'kwargs.backend_type: Value is not one of: "redis.sentinel", "redis.standard" (got \'redis.cluster\')',
    ),
    ({"backend_type": None}, "(got None)"),
    ({**STANDARD, "backend_layer_kwargs": []}, "kwargs.backend_layer_kwargs: Not a dict (got a list)"),
    (layer(host="a"), 'kwargs.backend_layer_kwargs: Extra keys present: host (did you mean "hosts"?)'),
    (layer(hosts="localhost"), "kwargs.backend_layer_kwargs.hosts: Not a list (got 'localhost')"),
    (layer(hosts=[]), "kwargs.backend_layer_kwargs.hosts: List is shorter than 1 (got a list)"),
    (hosts(5), f"hosts.0: Not a host (got 5; {ALLOWED_HOSTS})"),
    (hosts(""), f"hosts.0: Not a host (got ''; {ALLOWED_HOSTS})"),
    (hosts("redis://"), f"hosts.0: Not a host (got 'redis://'; {ALLOWED_HOSTS})"),
    (hosts("http://a"), f"hosts.0: URLs of brokers do not begin with \"http://\" (got 'http://a'; {ALLOWED_HOSTS})"),
    (hosts("http://me:hunter2@a"), "(got '...@a'; give"),
    (hosts("a", ("b",)), "hosts.1: Not a pair of host name and port (got a tuple; give"),
    (hosts((5, 6379)), "hosts.0: Not a pair of host name and port"),
    (hosts(("", 6379)), "hosts.0: Not a pair of host name and port"),
    (hosts(("a", "6379")), "hosts.0.1: Not an integer (got '6379'; a port is 1 to 65535)"),
    (hosts(("a", 70000)), "hosts.0.1: Value not <= 65535 (got 70000; a port is 1 to 65535)"),
    (layer(redis_port=0), "redis_port: Value not >= 1 (got 0)"),
    (layer(redis_db=-1), "redis_db: Value not >= 0 (got -1)"),
    (layer(connection_kwargs=[]), "connection_kwargs: Not a dict (got a list)"),
    (layer(connection_kwargs={5: 5}), "connection_kwargs.5: Not a unicode string"),
    (
        layer(sentinel_services=["a"]),
        'sentinel_services: Extra keys present: sentinel_services is for "redis.sentinel" only',
    ),
    ({**SENTINEL, "backend_layer_kwargs": {"sentinel_services": "a"}}, "sentinel_services: Not a list (got 'a')"),
    ({**SENTINEL, "backend_layer_kwargs": {"sentinel_services": [5]}}, "sentinel_services.0: Not a unicode string"),
    (
        {**SENTINEL, "backend_layer_kwargs": {"sentinel_failover_retries": -1}},
        "sentinel_failover_retries: Value not >= 0 (got -1)",
    ),
    ({**SENTINEL, "backend_layer_kwargs": {"sentinel_kwargs": None}}, "sentinel_kwargs: Not a dict (got None)"),
    ({**STANDARD, "message_expiry_in_seconds": 0}, "kwargs.message_expiry_in_seconds: Value not > 0 (got 0)"),
    ({**STANDARD, "message_expiry_in_seconds": "60"}, "message_expiry_in_seconds: Not a float (got '60')"),
    ({**STANDARD, "receive_timeout_in_seconds": -1}, "receive_timeout_in_seconds: Value not > 0 (got -1)"),
    ({**STANDARD, "receive_timeout_in_seconds": float("inf")}, "Not a finite number (got inf)"),
    ({**STANDARD, "queue_capacity": -5}, "kwargs.queue_capacity: Value not > 0 (got -5)"),
    ({**STANDARD, "queue_capacity": 10.0}, "kwargs.queue_capacity: Not an integer (got 10.0)"),
    ({**STANDARD, "queue_full_retries": -1}, "queue_full_retries: Value not >= 0 (got -1)"),
    ({**STANDARD, "queue_full_retries": True}, "queue_full_retries: Not an integer (got True)"),
    ({**STANDARD, "log_messages_larger_than_bytes": -1}, "log_messages_larger_than_bytes: Value not >= 0 (got -1)"),
    ({**STANDARD, "maximum_message_size_in_bytes": 0}, "maximum_message_size_in_bytes: Value not > 0 (got 0)"),
    ({**STANDARD, "request_queue_life_in_seconds": 0}, "request_queue_life_in_seconds: Value not > 0 (got 0)"),
    ({**STANDARD, "que_capacity": 1}, 'kwargs: Extra keys present: que_capacity (did you mean "queue_capacity"?)'),
    (
        {**STANDARD, "default_serializer_config": {"path": "decimal:Decimal"}},
        "kwargs.default_serializer_config.path: Type <class 'decimal.Decimal'> is not one of",
    ),
    (
        {**STANDARD, "default_serializer_config": {"kwargs": {"a": 1}}},
        "kwargs.default_serializer_config.kwargs: Extra keys present: a",
    ),
]


@pytest.mark.parametrize("side", [ClientSettings, ServerSettings])
@pytest.mark.parametrize(("kwargs", "text"), BAD_ON_BOTH_SIDES)
def test_bad_arguments_are_refused_with_key_value_and_what_is_allowed(
    side: type[ClientSettings] | type[ServerSettings], kwargs: dict[str, Any], text: str
) -> None:
    with pytest.raises(side.ImproperlyConfigured) as caught:
        side({"transport": {"kwargs": kwargs}})

    assert text in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "kwargs", "pointer", "message"),
    [
        (RedisTransportSchema(), {"protocol_version": 4}, "protocol_version", "Value not <= 3"),
        (RedisTransportSchema(), {"protocol_version": "3"}, "protocol_version", "Not an integer"),
        (RedisTransportSchema(), {"prefetch": 4}, None, "Extra keys present: prefetch"),
        (
            RedisTransportSchema(),
            {"chunk_messages_larger_than_bytes": -1},
            None,
            "Extra keys present: chunk_messages_larger_than_bytes",
        ),
        (RedisServerTransportSchema(), {"protocol_version": 3}, None, "Extra keys present: protocol_version"),
        (RedisServerTransportSchema(), {"prefetch": 0}, "prefetch", "Value not >= 1"),
        (RedisServerTransportSchema(), {"prefetch": 65}, "prefetch", "Value not <= 64"),
        (
            RedisServerTransportSchema(),
            {"chunk_messages_larger_than_bytes": 102399},
            "chunk_messages_larger_than_bytes",
            "If chunk_messages_larger_than_bytes is enabled (non-negative), it must be >= 102400, got 102399",
        ),
        (
            RedisServerTransportSchema(),
            {"chunk_messages_larger_than_bytes": 102400, "maximum_message_size_in_bytes": 511999},
            "maximum_message_size_in_bytes",
            "If chunk_messages_larger_than_bytes is enabled (non-negative), maximum_message_size_in_bytes must be at "
            "least 5 times larger to allow for multiple chunks to be sent.",
        ),
    ],
)
def test_arguments_of_one_side_have_limits(schema: Any, kwargs: dict[str, Any], pointer: str, message: str) -> None:
    errors = schema.errors(STANDARD | kwargs)

    assert [(error.pointer, error.message) for error in errors] == [(pointer, message)]


@pytest.mark.parametrize(
    "kwargs",
    [
        hosts(("a", 6379), ["b", 6380], "c", "redis://d", "rediss://me:pw@e:1/2", "unix:///run/redis.sock"),
        layer(redis_port=6380, redis_db=2, connection_kwargs={"ssl": True, "password": "x"}),
        {
            **SENTINEL,
            "backend_layer_kwargs": {
                "sentinel_services": ["one"],
                "sentinel_failover_retries": 3,
                "sentinel_kwargs": {"password": "x"},
            },
        },
        {**STANDARD, "receive_timeout_in_seconds": 0.5, "message_expiry_in_seconds": 1.5},
        {**STANDARD, "queue_full_retries": 0, "log_messages_larger_than_bytes": 0},
        {**STANDARD, "default_serializer_config": {"path": "pysoa.common.serializer:JSONSerializer"}},
        {**STANDARD, "default_serializer_config": {}},
    ],
    ids=["hosts", "layer", "sentinel", "fractions", "zeros", "json", "default-serializer"],
)
def test_sound_arguments_are_accepted_on_both_sides(kwargs: dict[str, Any]) -> None:
    assert RedisTransportSchema().errors(dict(kwargs)) == []
    assert RedisServerTransportSchema().errors(dict(kwargs)) == []


def test_chunks_are_accepted_within_their_limits() -> None:
    kwargs = {"chunk_messages_larger_than_bytes": 102400, "maximum_message_size_in_bytes": 512000}

    assert RedisServerTransportSchema().errors(STANDARD | kwargs) == []


def test_the_serializer_gains_its_class() -> None:
    settings = ServerSettings({"transport": {"kwargs": {**STANDARD, "default_serializer_config": {}}}})

    config = settings["transport"]["kwargs"]["default_serializer_config"]
    assert config["object"].mime_type == "application/msgpack"


def test_the_serializer_key_of_042_is_renamed() -> None:
    kwargs = {**STANDARD, "serializer_config": {"path": "pysoa.common.serializer:JSONSerializer"}}

    with pytest.warns(DeprecationWarning, match="serializer_config is now default_serializer_config"):
        settings = ClientSettings({"transport": {"kwargs": kwargs}})

    assert "serializer_config" not in settings["transport"]["kwargs"]
    assert settings["transport"]["kwargs"]["default_serializer_config"]["object"].mime_type == "application/json"
    assert "serializer_config" in kwargs


def test_both_names_of_the_serializer_at_once_are_refused() -> None:
    errors = RedisTransportSchema().errors({**STANDARD, "serializer_config": {}, "default_serializer_config": {}})

    assert [error.message for error in errors] == ["Extra keys present: serializer_config"]
