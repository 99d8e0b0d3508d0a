"""Run rows of command lines in one process, so that Python and its imports are paid for once.

On standard input, JSON: `[[program, arguments, variables], …]`, program `serving` or `agent`; on
standard output, JSON: `[[exit code, stdout, stderr], …]`.
"""

import contextlib
import io
import json
import os
import sys


def run(program: str, arguments: list[str], variables: dict[str, str]) -> tuple[object, str, str]:
    import agent.__main__ as agent
    import serving.__main__ as serving

    before, sys.argv = dict(os.environ), [program, *arguments]
    os.environ.update(variables)
    code: object = 0  # any exception but the end of a program is a fault, and ends the rows
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            (serving.main if program == "serving" else agent.app)()
        except SystemExit as end:
            code = end.code
    os.environ.clear()
    os.environ.update(before)
    return code, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    results = [run(*row) for row in json.load(sys.stdin)]
    sys.stdout.write(json.dumps(results))
