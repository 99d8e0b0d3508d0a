"""A stand-in for an engine, at the seam of the engines' table: a tiny OpenAI-like server.

It starts in a tenth of a second, so that a test can kill it many times. Run as
`stub_engine.py PORT MODEL [FAULT]`; the key comes in ENGINE_API_KEY, as for real engines.
FAULT: `exit` ends at once with an error, `silent` never listens, `stubborn` ignores SIGTERM
and starts a child that does too, `refuses` answers completions with 500, `garbage` says
`!!!!`, as a model does whose half-precision numbers overflow. `steps:N` answers a task that counts
in N steps of code, slowly, and then states the number N; `memory:N` too, until it runs out of
memory in the middle of its second reply. `until:PATH` listens once there is such
a file.
"""

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, MODEL = int(sys.argv[1]), sys.argv[2]
FAULT = sys.argv[3] if len(sys.argv) > 3 else ""
KEY = os.environ["ENGINE_API_KEY"]
OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 14.00 GiB"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/health":
            self.reply(200, {"status": "ok", "pid": os.getpid()})
        elif self.headers.get("authorization") != f"Bearer {KEY}":
            self.reply(401, {})
        else:
            self.reply(200, {"data": [{"id": MODEL}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or "{}")
        if FAULT == "refuses":
            self.reply(500, {})
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        said = ["!" * 40 if FAULT == "garbage" else "17 and 25.</think>That is 42."]
        if FAULT.startswith(("steps:", "memory:")) and "count" in json.dumps(asked["messages"]):
            said = self.step(asked["messages"], int(FAULT.partition(":")[2]))
        for delta, finish in [*(({"content": piece}, None) for piece in said), ({}, "stop")]:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            self.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
            self.wfile.flush()
            time.sleep(0.1 if len(said) > 1 else 0)
            if FAULT.startswith("memory:") and "step', 2" in "".join(said):
                sys.stderr.write(f"{OUT_OF_MEMORY}\n")
                sys.stderr.flush()
                os._exit(1)
        self.wfile.write(b"data: [DONE]\n\n")

    def step(self, messages: list[dict], steps: int) -> list[str]:
        done = sum(message["role"] == "assistant" for message in messages)
        if done < steps:
            code = f"thon\nprint('step', {done + 1})\n"
            return ["I count.</think>Next", ":\n```py", code, "```\n"]
        return ["Done.</think>", f"Final answer: {steps}"]

    def reply(self, status: int, data: dict) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    if FAULT == "exit":
        sys.exit(OUT_OF_MEMORY)
    while FAULT.startswith("until:") and not Path(FAULT.partition(":")[2]).exists():
        time.sleep(0.05)
    if FAULT == "silent":
        sys.stderr.write("thinking about it\n")
        time.sleep(600)
    if FAULT == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(
            [sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(600)"]
        )
        sys.stderr.write(f"child {child.pid}\n")
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
