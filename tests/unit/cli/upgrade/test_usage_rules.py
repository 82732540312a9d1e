"""What is found in single expressions: each case is a file, with marks where something has to be found."""

# ruff: noqa: E501 # the marks stand in the lines that they are about

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.upgrades import found, marked, write

EXPRESSIONS: dict[str, str] = {
    "continue_on_error of one action": """
        from pysoa.client import Client
        import company
        client = Client({})
        client.call_action("a", "b", continue_on_error=True)  #! works with a warning: continue_on_error means nothing in call_action, whose jobs have one action each
        client.call_actions_parallel_future("a", [], continue_on_error=True)  #! works with a warning: continue_on_error means nothing in call_actions_parallel_future, whose jobs have one action each
        client.call_actions("a", [], continue_on_error=True)
        client.call_jobs_parallel([], continue_on_error=True)
        company.call_action(continue_on_error=True)
    """,
    "the arguments of a job response": """
        from pysoa.common.types import JobResponse
        JobResponse([], [])  #! must change: the second argument of JobResponse is the context
        JobResponse([], {}), JobResponse([], {}, []), JobResponse(errors=[], actions=[]), JobResponse([])
    """,
    "texts and details of exceptions": """
        from pysoa.client.errors import CallActionError
        try:
            pass
        except CallActionError as error:
            error.actions[0].errors[0].traceback  #! worth knowing: callers on other machines no longer get the traceback of an error
            [each.variables for each in error.actions[0].errors]  #! worth knowing: callers on other machines no longer get the variables of an error
            for each in error.actions[0].errors:
                print(each.traceback, each.code, each.message)  #! worth knowing: callers on other machines no longer get the traceback of an error
            if "Internal server error: KeyError" in str(error):  #! worth knowing: callers on other machines get an error id in place of the text of an exception
                pass
        def other(each, error):
            return each.traceback, error.variables, "An Internal server error"
    """,
    "zones": """
        import pytz  #! worth knowing: pytz is used here, and PySOA 2 does not install it as 1.x did
        from pysoa.client import Client
        Client({}).call_action("a", "b").body["at"].tzinfo is pytz.utc  #! worth knowing: date-times that are received have datetime.UTC for their zone, and not pytz.UTC
        pytz.utc == 5, at.tzinfo == other
    """,
    "Python 2": """
        import six  #! worth knowing: six is used here, and PySOA 2 does not install it as 1.x did
        from six import text_type
        from pysoa.common.types import Error
        from pysoa.server.middleware import ServerMiddleware
        Error(code=six.text_type("X"), message=text_type("x"))  #! worth knowing: six.text_type in a call of pysoa.common.types.Error #! worth knowing: text_type in a call of pysoa.common.types.Error
        Error(unicode("X"), "x")  #! must change: there is no unicode in Python 3
        print(six.text_type(5), unicode(5))

        @six.add_metaclass(type)
        class Ours(ServerMiddleware):  #! worth knowing: Ours gets its metaclass by six.add_metaclass
            pass

        class Other(six.with_metaclass(type, ServerMiddleware)):  #! worth knowing: Other gets its metaclass by six.with_metaclass
            def job(self, process_job):
                return lambda request: request

        @six.add_metaclass(type)
        class Theirs(object):
            pass
    """,
    "names of Python 2 that the file has itself": """
        from pysoa.common.types import Error
        unicode = str
        Error(unicode("X"), "x")
    """,
    "the same in files that do not use PySOA": """
        client.call_action("a", "b", continue_on_error=True)
        text = "Internal server error"
        for each in response.errors:
            print(each.traceback)
    """,
}


@pytest.mark.parametrize("code", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_what_is_marked_is_found_and_nothing_else(code: str, tmp_path: Path) -> None:
    files = {"case.py": code}
    write(tmp_path, files)

    assert found(tmp_path) == marked(files)
