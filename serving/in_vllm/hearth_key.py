"""Asks for the key on every path of a vLLM server but /health; vLLM itself lets /tokenize,
/metrics and others go without.

The only module in its folder, which stands on vLLM's PYTHONPATH: it is named to vLLM as
`--middleware hearth_key.RequireKey`, and nothing else of Hearth may come before vLLM's own.
"""

import importlib.util
import os
from pathlib import Path
from typing import Any

_SOURCE = Path(__file__).resolve().parent.parent / "transformers_server.py"


class RequireKey:
    """ASGI middleware, made by vLLM: the one of the transformers engine with vLLM's key."""

    def __init__(self, app: Any) -> None:
        spec = importlib.util.spec_from_file_location("hearth_transformers_server", _SOURCE)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self._guarded = module.RequireKey(app, os.environ["VLLM_API_KEY"])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._guarded(scope, receive, send)
