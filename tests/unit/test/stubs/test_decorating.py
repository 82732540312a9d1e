from __future__ import annotations

import inspect
import unittest
from typing import Any
from unittest import mock

import pytest

from pysoa.client.client import Client
from pysoa.common.errors import Error
from pysoa.test import compatibility
from pysoa.test.coroutines import run_coroutine
from pysoa.test.stub_service import get_stubbed_requests, stub_action

client = Client({})
genuine = Client.send_request


class Thing:
    name = "genuine"


def name_of(stub: Any) -> str:
    """The name of a stub's mock."""
    return str(stub._mock_name)


def test_a_function_gets_the_stub_after_its_arguments() -> None:
    @stub_action("cart", "show", body={"n": 1})
    def show(first: int, stub: Any, *, third: int) -> Any:
        """Shows."""
        return first, client.call_action("cart", "show").body, stub.call_count, third

    assert show(1, third=3) == (1, {"n": 1}, 1, 3)
    assert show(2, third=3) == (2, {"n": 1}, 1, 3)
    assert (show.__doc__, show.__name__) == ("Shows.", "show")
    assert [type(each) for each in show.patchings] == [stub_action]  # type: ignore[attr-defined]
    assert Client.send_request is genuine


def test_the_decorator_nearest_to_the_function_comes_first() -> None:
    @stub_action("cart", "a")
    @stub_action("cart", "b")
    def show(self: Any, stub_b: Any, stub_a: Any) -> Any:
        return self, name_of(stub_b), name_of(stub_a)

    assert show(5) == (5, "cart.b", "cart.a")


@pytest.mark.parametrize("fails", [False, True])
def test_it_is_mixed_with_mock_in_any_order(fails: bool) -> None:
    def show(*args: Any, **kwargs: Any) -> Any:
        if fails:
            raise ZeroDivisionError
        return [name_of(arg) for arg in args], list(kwargs), Thing.name, client.call_action("cart", "a").body

    decorators = [
        stub_action("cart", "a", body={"n": 1}),
        mock.patch.object(Thing, "name", "patched"),
        mock.patch(f"{__name__}.Thing.other", create=True),
        stub_action("cart", "b"),
        mock.patch.multiple(Thing, name=mock.DEFAULT),
    ]
    for turn in range(len(decorators)):
        function: Any = show
        for decorator in decorators[turn:] + decorators[:turn]:
            function = decorator(function)

        if fails:
            with pytest.raises(ZeroDivisionError):
                function()
        else:
            names, kwargs, _, body = function()
            in_order = ["cart.a", "other", "cart.b"]
            first = {0: 0, 1: 1, 2: 1, 3: 2, 4: 0}[turn]
            assert names == in_order[first:] + in_order[:first]
            assert (kwargs, body) == (["name"], {"n": 1})
        assert (Thing.name, hasattr(Thing, "other")) == ("genuine", False)
        assert Client.send_request is genuine


def test_the_stub_is_left_where_mock_stands_further_out() -> None:
    @mock.patch.object(Thing, "name", "patched")
    @stub_action("cart", "show", body={"n": 1})
    def show(stub: Any) -> str:
        return Thing.name

    assert show() == "patched"
    assert Client.send_request is genuine


def test_a_coroutine_function_has_its_stub_while_it_runs() -> None:
    @mock.patch.object(Thing, "name", "patched")
    @stub_action("cart", "show", body={"n": 1})
    async def show(stub: Any) -> Any:
        return client.call_action("cart", "show").body, Thing.name

    @stub_action("cart", "show", body={"n": 2})
    @mock.patch.object(Thing, "name")
    async def show_too(name: Any, stub: Any) -> Any:
        return client.call_action("cart", "show").body, Thing.name is name

    assert inspect.iscoroutinefunction(show)
    assert run_coroutine(show) == ({"n": 1}, "patched")
    assert run_coroutine(show_too) == ({"n": 2}, True)
    assert Client.send_request is genuine


class Base:
    @stub_action("cart", "own", body={"n": 0})
    def test_inherited(self, own: Any, *others: Any) -> Any:
        return [name_of(stub) for stub in (own, *others)]


@mock.patch.object(Thing, "name")
@stub_action("cart", "b", register_request_schema_contract=False)
@stub_action("cart", "a", body={"n": 1}, register_response_schema_contract=False)
class Case(Base):
    value = 7
    test_value = 7

    @stub_action("cart", "own")
    def test_method(self, *stubs: Any) -> Any:
        return self.value, [name_of(stub) for stub in stubs]

    async def test_coroutine(self, *stubs: Any) -> Any:
        return self.value, client.call_action("cart", "a").body

    def helper(self, *stubs: Any) -> int:
        return len(stubs)


@stub_action("cart", "a", body={"n": 1}, register_response_schema_contract=False)
class OddCase:
    value = 7

    @staticmethod
    def test_static(*stubs: Any) -> Any:
        return [name_of(stub) for stub in stubs]

    @classmethod
    def test_of_class(cls, *stubs: Any) -> Any:
        return cls.value, [name_of(stub) for stub in stubs]


def test_static_methods_and_class_methods_stay_what_they_are() -> None:
    assert OddCase.test_static() == OddCase().test_static() == ["cart.a"]
    assert OddCase.test_of_class() == OddCase().test_of_class() == (7, ["cart.a"])


def test_all_tests_of_a_class_are_decorated() -> None:
    case = Case()
    stubs = ["cart.a", "cart.b", "name"]

    assert case.test_method() == (7, ["cart.own", *stubs])
    assert case.test_inherited() == ["cart.own", *stubs]
    assert run_coroutine(case.test_coroutine) == (7, {"n": 1})
    assert (case.helper(), case.test_value) == (0, 7)
    assert Base().test_inherited() == ["cart.own"]
    assert Client.send_request is genuine


def test_each_test_of_a_class_has_a_stub_of_its_own_with_all_flags() -> None:
    made = [Case.test_method.patchings[1], OddCase.test_static.patchings[0]]  # type: ignore[attr-defined]

    assert made[0] is not made[1]
    for stub in made:
        assert (stub.body, stub.register_request_schema_contract, stub.register_response_schema_contract) == (
            {"n": 1},
            True,
            False,
        )
    before = len(get_stubbed_requests())
    run_coroutine(Case().test_coroutine)
    assert len(get_stubbed_requests()) == before + 1


def test_what_is_a_test_is_what_mock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compatibility.mock.patch, "TEST_PREFIX", "check")

    @stub_action("cart", "show")
    class Checks:
        def check(self, stub: Any) -> str:
            return name_of(stub)

        def test_nothing(self) -> None: ...

    assert Checks().check() == "cart.show"  # type: ignore[call-arg]
    Checks().test_nothing()


@stub_action("cart", "show", body={"n": 1})
class UnitTests(unittest.TestCase):
    def setUp(self) -> None:
        with self.assertRaises(Client.ImproperlyConfigured):
            client.call_action("cart", "show")

    def test_stubbed(self, stub: Any) -> None:
        self.assertEqual(client.call_action("cart", "show").body, {"n": 1})
        stub.assert_called_once_with({})


@stub_action("cart", "b", errors=[Error("E", "m E")])
class TestWithPytest:
    @pytest.fixture
    def number(self) -> int:
        return 7

    @pytest.mark.parametrize("word", ["x", "y"])
    @stub_action("cart", "a", body={"n": 1})
    def test_stubs_come_before_fixtures_and_parameters(self, stub_a: Any, stub_b: Any, number: int, word: str) -> None:
        assert client.call_action("cart", "a").body == {"n": 1}
        with pytest.raises(Client.CallActionError):
            client.call_action("cart", "b")
        assert (stub_a.call_count, stub_b.call_count, number, word in "xy") == (1, 1, 7, True)

    @stub_action("cart", "a", body={"n": 1})
    @pytest.mark.parametrize("word", ["x", "y"])
    @mock.patch.object(Thing, "name")
    def test_parameters_may_stand_below(self, name: Any, stub_a: Any, stub_b: Any, word: str) -> None:
        assert (name_of(name), name_of(stub_a), name_of(stub_b)) == ("name", "cart.a", "cart.b")
