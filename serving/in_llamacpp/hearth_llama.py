"""llama.cpp's server from the package `xllamacpp`, with the arguments of `llama-server`.

Runs in an environment of its own (`python -m serving install llamacpp`), without Hearth. The
package holds the whole of llama-server and no command line; this is as much of one as Hearth's
plans name, so that the same arguments start either. The key comes in LLAMA_API_KEY, as there.

Seen in xllamacpp 2026.10, by running it: the server listens before the model is loaded and says
503 on /health until it is; the constructor returns once it is, and raises for a model that
can't be; /health and /v1/health alone ask for no key; a stream whose client goes away ends.
"""

import argparse
import os
import signal
import sys
import threading

_SWITCHES = ("--jinja", "--no-webui")


def arguments(words: list[str]) -> argparse.Namespace:
    """The arguments, by llama-server's names."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", required=True)
    parser.add_argument("--alias", default="")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--ctx-size", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--cache-ram", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--n-gpu-layers", type=int)
    parser.add_argument("--reasoning-format")
    parser.add_argument("--jinja", action="store_true")
    parser.add_argument("--no-webui", action="store_true")
    return parser.parse_args(_joined(words))


def _joined(words: list[str]) -> list[str]:
    """`--name value` as `--name=value`: a value may begin with a dash, as in llama-server."""
    joined: list[str] = []
    for word in words:
        open_ended = joined and joined[-1].startswith("--") and "=" not in joined[-1]
        if open_ended and not word.startswith("--") and joined[-1] not in _SWITCHES:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def parameters(given: argparse.Namespace, key: str) -> object:
    """What llama.cpp is to be started with."""
    import xllamacpp

    found = xllamacpp.CommonParams()
    found.model.path = given.model
    found.model_alias = {given.alias} if given.alias else set()
    found.hostnames, found.port = [given.host], given.port
    found.api_keys = [key] if key else []
    found.n_ctx, found.n_parallel = given.ctx_size, given.parallel
    found.use_jinja = True
    found.ui = not given.no_webui
    if given.cache_ram is not None:
        found.cache_ram_mib = given.cache_ram
    if given.n_gpu_layers is not None:
        found.n_gpu_layers = given.n_gpu_layers
    if given.threads is not None:
        found.cpuparams.n_threads = found.cpuparams_batch.n_threads = given.threads
    if given.reasoning_format is not None:
        name = f"COMMON_REASONING_FORMAT_{given.reasoning_format.upper().replace('-', '_')}"
        found.reasoning_format = getattr(xllamacpp.common_reasoning_format, name)
    return found


def main() -> int:
    """Serve until a signal comes."""
    import xllamacpp

    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    given = arguments(sys.argv[1:])
    try:
        server = xllamacpp.Server(parameters(given, os.environ.pop("LLAMA_API_KEY", "")))
    except RuntimeError as error:
        sys.stderr.write(f"llama.cpp can't start: {error}\n")
        return 1
    sys.stderr.write(f"serving at {server.listening_address}\n")
    while not over.wait(1.0):
        pass
    os._exit(0)  # at once: a stream under way would be waited for


if __name__ == "__main__":
    sys.exit(main())
