"""What smolagents' own interpreter makes of the programs that the sandbox has to get right.

A control: were a newer version right in one of these cases, the comparison would have to say so.
"""

import time

import pytest
from smolagents.local_python_executor import LocalPythonExecutor

from tests.executor_checks.python import Case, cases


def own_interpreter(**options: float) -> LocalPythonExecutor:
    executor = LocalPythonExecutor([], **options)
    executor.send_tools({})
    return executor


def is_right(executor: LocalPythonExecutor, case: Case) -> bool:
    try:
        result = executor(case.code)
    except Exception as error:  # noqa: BLE001 - whatever it raises, it did not run the program
        return case.kind == "!" and case.expected.partition(".")[0] in str(error)
    if case.kind == "!":
        return False
    return (result.logs if case.kind == "<" else result.output) == eval(case.expected)


@pytest.mark.parametrize("case", cases("smolagents"), ids=lambda case: case.name)
def test_it_gets_these_wrong(case: Case) -> None:
    assert not is_right(own_interpreter(), case), "this version is right: say so in the documents"


def test_the_control_can_tell_right_from_wrong() -> None:
    executor = own_interpreter()
    assert is_right(executor, Case("", "1 + 1", ">", "2"))
    assert is_right(executor, Case("", "print('a')", "<", "'a\\n'"))
    assert is_right(executor, Case("", "1 / 0", "!", "division by zero"))
    assert not is_right(executor, Case("", "1 + 1", ">", "3"))


def test_it_can_not_end_a_call_that_waits() -> None:
    """The limit of time is noticed after the call has come back by itself."""
    executor = LocalPythonExecutor(["time"], timeout_seconds=0.2)
    executor.send_tools({})
    began = time.monotonic()
    with pytest.raises(Exception, match="time"):
        executor("import time\ntime.sleep(1.5)")
    assert time.monotonic() - began >= 1.5
