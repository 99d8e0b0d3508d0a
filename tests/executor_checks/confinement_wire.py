"""Items 72 to 88: what a hostile worker sends, and what the app makes of it.

The code has its own end of the wire in its hands: it can find the worker's objects, its nonce
and its descriptors. So nothing that comes may be trusted, whatever the tier; there is no control.
The restricted interpreter has no wire that its code could reach.
"""

import time
from typing import Any

import psutil
from smolagents import Tool

from errors import CodeError
from sandbox import calls
from tests.executor_checks import calling
from tests.executor_checks.place import Place

# The worker's own channel, found as any code in the same interpreter can find it.
WIRE = """
import gc, os, time
_channel = next(each for each in gc.get_objects() if type(each).__name__ == 'Channel')
_wire = type(_channel).send.__globals__['wire']
def send(*fields):
    data = _wire.frame(*fields)
    raw(data)
def raw(data):
    while data:
        data = data[os.write(_channel._descriptor, data):]
def call(number, name, args=(), kwargs={}):
    send('call', _channel.nonce, number, name, _wire.pack([list(args), dict(kwargs)]))
"""


def _hostile(place: Place, code: str, **options: Any) -> str:
    """What is said of code that misuses the wire; afterwards the sandbox works again."""
    executor = place.make(timeout_seconds=20, **options)
    executor("kept = 5")
    memory = psutil.Process().memory_info().rss
    try:
        executor(f"{WIRE}\n{code}\ntime.sleep(5)")
    except CodeError as error:
        text = str(error)
    else:
        raise AssertionError("the app took it")
    assert psutil.Process().memory_info().rss - memory < 150 * 1024**2
    assert executor("1 + 1").output == 2
    assert "NameError" in place.text_of("kept", executor=executor)
    executor.cleanup()
    return text


def check_072_random_bytes_are_a_broken_channel(place: Place) -> None:
    if place.lacks("import gc"):
        return
    for seed in range(3):
        text = _hostile(place, f"import random\nraw(random.Random({seed}).randbytes(100_000))")
        assert "channel" in text and "Variables are gone" in text


def check_073_a_header_of_four_gigabytes_is_refused(place: Place) -> None:
    if place.lacks("import gc"):
        return
    text = _hostile(place, "raw(b'\\xff\\xff\\xff\\xff')")
    assert "4,294,967,295" in text


def check_074_deep_nesting_is_a_bad_frame(place: Place) -> None:
    if place.lacks("import gc"):
        return
    body = "b'\\x91' * 2_000_000"
    assert "channel" in _hostile(place, f"raw((2_000_000).to_bytes(4, 'big') + {body})")
    nested = "send('final', _channel.nonce, b'\\x91' * 2_000_000 + b'\\x01')"
    assert "channel" in _hostile(place, nested)


def check_075_pickles_are_never_loaded(place: Place) -> None:
    if place.lacks("import gc"):
        return
    marker = place.folder / "unpickled"
    harmful = (
        "import pickle\nclass P:\n    def __reduce__(self):\n"
        f"        return (open, ({str(marker)!r}, 'w'))\n"
        "data = pickle.dumps(P())\n"
    )
    executor = place.make()
    executor(harmful)
    value = executor("data").output  # bytes stay bytes
    assert type(value) is bytes and value.startswith(b"\x80")
    assert executor("same(data) == data").output is True
    executor.cleanup()
    assert "channel" in _hostile(place, harmful + "send('final', _channel.nonce, data)")
    assert not marker.exists()


def check_076_calls_that_are_none_are_refused(place: Place) -> None:
    if place.lacks("import gc"):
        return
    executor = place.make()
    names = [
        "__class__",
        "__call__",
        "no_such_tool",
        "os.system",
        "",
        "final_answer",
        "web_search\0",
    ]
    for name in names:
        text = place.text_of(f"{WIRE}\n{_ASK}({name!r})", executor=executor)
        assert "there is no tool" in text, text
    for arguments in ("['x'], {'y': 1}", "[['x']], {}", "[1], {}", "[], {'self': 1}"):
        text = place.text_of(f"{WIRE}\n{_ASK}('web_search', {arguments})", executor=executor)
        assert "TypeError: web_search(query" in text, text
    executor.cleanup()
    for frame in (
        "raw(_framed(['call', _channel.nonce, 1, ['web_search'], b'']))",
        "send('call', _channel.nonce, '1', 'web_search', _wire.pack([[], {}]))",
        "send('call', _channel.nonce, 1, 'web_search', _wire.pack({'query': 'x'}))",
        "send('call', _channel.nonce, 1, 'web_search')",
        "send('no such kind', _channel.nonce)",
    ):
        framed = (
            "import msgspec\ndef _framed(fields):\n    body = msgspec.msgpack.encode(fields)\n"
            "    return len(body).to_bytes(4, 'big') + body\n"
        )
        assert "channel" in _hostile(place, framed + frame)


# Through the worker's own object, which waits for the reply; its own checks are passed by.
_ASK = (
    "(lambda name, args=(), kwargs={}: next(each for each in gc.get_objects() "
    "if type(each).__name__ == 'Calls').call(name, tuple(args), dict(kwargs), lambda x: x))"
)


def check_077_calls_stop_at_their_number(place: Place) -> None:
    executor = place.make()
    text = place.text_of("for i in range(500):\n    web_search(str(i))\n", executor=executor)
    assert f"at most {calls.MAX_CALLS}" in text or place.restricted
    executor.cleanup()
    if place.restricted:
        return
    # And in the app, when the worker doesn't count.
    records: list[dict[str, Any]] = []
    executor = place.make(on_tool_call=records.append)
    executor(f"{WIRE}\nfor i in range(500):\n    call(i, 'web_search', ['x'])\ntime.sleep(0.3)\n1")
    assert sum(each["phase"] == "end" and each["ok"] for each in records) <= calls.MAX_CALLS
    executor.cleanup()


def check_078_a_call_after_the_step_is_refused(place: Place) -> None:
    if place.lacks("import threading"):
        return
    calling.check_call_after_the_step(place.make)


def check_079_a_call_between_two_steps_is_not_made(place: Place) -> None:
    if place.lacks("import gc"):
        return
    records: list[dict[str, Any]] = []
    executor = place.make(on_tool_call=records.append)
    code = (
        "import threading\nnonce = _channel.nonce\n"
        "def late():\n    time.sleep(0.3)\n"
        "    send('call', nonce, 1, 'web_search', _wire.pack([['x'], {}]))\n"
        "threading.Thread(target=late).start()\n1"
    )
    executor(f"{WIRE}\n{code}")
    time.sleep(1.2)
    assert "this code was not run" in place.text_of("ran = True", "limit", executor)
    assert records == [] and executor("1 + 1").output == 2
    executor.cleanup()


def check_080_a_message_of_another_step_is_not_taken(place: Place) -> None:
    if place.lacks("import gc"):
        return
    for nonce in ("'0' * 16", "''", "None", "_channel.nonce[:-1] + 'x'"):
        text = _hostile(place, f"send('final', {nonce}, _wire.pack('forged'))")
        assert "belongs to no step" in text or "channel" in text


def check_081_a_forged_end_is_worth_no_more_than_an_answer(place: Place) -> None:
    if place.lacks("import gc"):
        return
    executor = place.make()
    forged = "send('done', _channel.nonce, 'ok', '', False, _wire.pack('forged'))"
    result = executor(f"{WIRE}\n{forged}\ntime.sleep(0.2)\n'real'")
    assert (result.output, result.is_final_answer) == ("forged", False)
    time.sleep(0.3)  # the real end of the step comes when nobody waits for it
    assert "this code was not run" in place.text_of("ran = True", "limit", executor)
    assert executor("1 + 1").output == 2
    _check_text_of_an_error(place)
    executor.cleanup()


def _check_text_of_an_error(place: Place) -> None:
    """It is printed as what print() gave: cleaned and bounded."""
    executor = place.make()
    for code in (
        "raise ValueError('a\\x1b]0;title\\x07b\\x1b[2Jc\\u202e')",
        f"{WIRE}\nsend('done', _channel.nonce, 'error', "
        "'ValueError: a\\x1b[2Jbc' + 'x' * 5_000_000, False, None)\ntime.sleep(0.5)",
    ):
        text = place.text_of(code, executor=executor)
        assert "ValueError: abc" in text and len(text) < 30_000
        assert "\x1b" not in text and "\u202e" not in text
    executor.cleanup()


def check_082_half_a_frame_and_silence_end_at_the_wall_clock(place: Place) -> None:
    if place.lacks("import gc"):
        return
    executor = place.make(timeout_seconds=0.5)
    code = "raw((1000).to_bytes(4, 'big') + b'x' * 10)\nimport signal\n"
    code += "signal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)"
    began = time.monotonic()
    assert "had to be killed" in place.text_of(f"{WIRE}\n{code}", "timeout", executor)
    assert time.monotonic() - began < 8 and executor("1 + 1").output == 2
    executor.cleanup()


def check_083_values_that_would_be_huge_are_not_built(place: Place) -> None:
    if place.lacks("import gc"):
        return
    for value in (
        # a list of a million lists, announced by five bytes
        "b'\\xdd\\xff\\xff\\xff\\xff'",
        "b'\\xdd' + (5_000_000).to_bytes(4, 'big') + b'\\x80' * 5_000_000",
        # tags for arrays, which this wire doesn't know, with a shape of 10**12
        "msgspec.msgpack.encode({40: [[10**12], 'f8', b'']})",
        "msgspec.msgpack.encode({40: ['U999999999', [1], b'']})",
        # a number of sixteen megabytes of digits, a decimal of as many zeros
        "msgspec.msgpack.encode({6: '1e999999999999999999999'})",
        # a number that is soon there, and that Python refuses to print
        "_wire.pack(10**5000)",
    ):
        text = _hostile(place, f"import msgspec\nsend('final', _channel.nonce, {value})")
        assert "channel" in text, text


def check_084_closed_or_replaced_descriptors_lead_to_a_restart(place: Place) -> None:
    if place.lacks("import os\nos.closerange(3, 30)"):
        return
    for code in (
        "os.closerange(3, 64)",
        "r, w = os.pipe()\nfor fd in range(3, 64):\n    os.dup2(r, fd)",
        "null = os.open('/dev/null', os.O_RDWR)\nfor fd in range(3, 64):\n    os.dup2(null, fd)",
        "for fd in range(3):\n    os.close(fd)\nos.close(_channel._descriptor)",
    ):
        _hostile(place, code)


def check_085_odd_numbers_and_texts_cross_whole(place: Place) -> None:
    if place.restricted:
        assert place.executor("10 ** 30").output == 10**30
        return
    executor = place.executor
    assert executor("import math\n[math.inf, -math.inf, 10**30, -0.0]").output == [
        float("inf"), float("-inf"), 10**30, 0.0
    ]  # fmt: skip
    assert executor("math.isnan(same(math.nan)) and same(10**30) == 10**30").output is True
    assert executor("same('a\\ud800b')").output == "a\ufffdb"
    assert executor("print('a\\ud800b')").logs == "a\ufffdb\n"


def check_086_an_answer_inside_except_is_still_final(place: Place) -> None:
    executor = place.make()
    clauses = ["except Exception:", "except:", "except BaseException:"]
    for clause in clauses[:1] if place.restricted else clauses:
        result = executor(f"try:\n    final_answer('first')\n{clause}\n    pass\n1 / 1")
        assert (result.output, result.is_final_answer) == ("first", True)
    executor.cleanup()


class Leaking(Tool):
    """Fails as libraries do: with all that they know in the text."""

    name = "leaking"
    description = "Fails."
    inputs: dict = {"kind": {"type": "string", "description": "how"}}
    output_type = "string"
    secret = "sk-proj-Zr4kQ0w8Tn2mVb7XcLpY"

    def forward(self, kind: str) -> str:
        texts = {
            "key": f"401 for https://api.example.org/v1?api_key={self.secret}&q=x",
            "header": f"refused: Authorization: Bearer {self.secret}",
            "token": f"HTTPError with hf_{'a1B2' * 8} and {self.secret}",
        }
        raise RuntimeError(texts[kind])


def check_087_keys_in_a_tools_error_stay_in_the_app(place: Place) -> None:
    executor = place.make()
    executor.send_tools({"leaking": Leaking()})
    for kind in ("key", "header", "token"):
        text = place.text_of(f"leaking({kind!r})", executor=executor)
        assert Leaking.secret not in text and "hf_a1B2" not in text, text
    executor.cleanup()


def check_088_replies_are_matched_by_number_alone(place: Place) -> None:
    if place.lacks("import threading"):
        return
    executor = place.make()
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    found = list(pool.map(slow, [0.2, 0.15, 0.1, 0.05, 0.0]))\nfound"
    )
    assert executor(code).output == [0.2, 0.15, 0.1, 0.05, 0.0]
    # The same number twice, and numbers of no call: the app answers, and lives.
    twice = (
        "for _ in range(3):\n    call(10**6, 'slow', [0.1])\n"
        "call(-1, 'same', [1])\ncall(2**63, 'same', [2])\ntime.sleep(0.4)\nslow(0.01)"
    )
    assert executor(f"{WIRE}\n{twice}").output == 0.01
    assert executor("same(3)").output == 3
    executor.cleanup()
