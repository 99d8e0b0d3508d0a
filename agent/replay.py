"""Whether a step's code may be run a second time to rebuild its variables: the rules.

Read from the code, the names followed through its imports. A rule that finds nothing is no
proof: whoever runs a step again also compares what comes out with what came out before.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_NOT_TWICE = {
    "os.remove": "removes files",
    "os.unlink": "removes files",
    "os.rmdir": "removes files",
    "os.removedirs": "removes files",
    "os.rename": "moves files",
    "os.renames": "moves files",
    "os.replace": "moves files",
    "shutil.move": "moves files",
    "shutil.rmtree": "removes files",
    "sqlite3": "works on a database",
    "sqlalchemy": "works on a database",
    "os.system": "starts other programs",
    "os.popen": "starts other programs",
    "os.fork": "starts other programs",
    "os.kill": "sends signals",
    "subprocess": "starts other programs",
    "multiprocessing": "starts other programs",
    "requests": "reaches the network by itself",
    "urllib.request": "reaches the network by itself",
    "urllib3": "reaches the network by itself",
    "httpx": "reaches the network by itself",
    "aiohttp": "reaches the network by itself",
    "http.client": "reaches the network by itself",
    "socket": "reaches the network by itself",
    "ftplib": "reaches the network by itself",
    "smtplib": "reaches the network by itself",
    "exec": "runs code that is not in it",
    "eval": "runs code that is not in it",
    "importlib": "runs code that is not in it",
    "__import__": "runs code that is not in it",
}
_BY_CHANCE = {
    "random": "uses chance without a seed",
    "numpy.random": "uses chance without a seed",
    "secrets": "uses chance",
    "uuid.uuid1": "uses chance",
    "uuid.uuid4": "uses chance",
    "os.urandom": "uses chance",
    "os.getpid": "asks for what differs between processes",
    "time.time": "reads the clock",
    "time.time_ns": "reads the clock",
    "time.monotonic": "reads the clock",
    "time.perf_counter": "reads the clock",
    "time.process_time": "reads the clock",
    "time.localtime": "reads the clock",
    "time.gmtime": "reads the clock",
    "time.ctime": "reads the clock",
    "time.strftime": "reads the clock",
    "datetime.datetime.now": "reads the clock",
    "datetime.datetime.utcnow": "reads the clock",
    "datetime.datetime.today": "reads the clock",
    "datetime.date.today": "reads the clock",
    "pandas.Timestamp.now": "reads the clock",
    "pandas.Timestamp.today": "reads the clock",
}
_SEEDS = ("random.seed", "numpy.random.seed", "numpy.random.default_rng", "random.Random")
_REMOVING = {"unlink", "rmdir"}  # methods of a Path
_ADDS = re.compile(r"(?=.*[ax+])[rwaxbt+]{1,4}")  # a mode of open() that keeps what is there


@dataclass
class Effects:
    """What running a step's code twice would do wrong; each empty where nothing was found.

    `twice`: an effect outside of its variables that can't be had a second time.
    `chance`: something that may come out differently.
    """

    twice: str = ""
    chance: str = ""


@dataclass
class Rules:
    """Reads the code of one step after the other; remembers imports and seeds between them."""

    names: dict[str, str] = field(default_factory=dict)
    _seeded: bool = False

    def effects(self, code: str) -> Effects:
        """What speaks against running this code again, after the code read before."""
        found = Effects()
        try:
            tree = ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return found  # it never ran
        nodes = list(ast.walk(tree))
        for node in nodes:
            self.names.update(_imported(node))
        for node in nodes:
            if isinstance(node, ast.Call):
                self._seeded |= bool(node.args) and self._dotted(node.func) in _SEEDS
                found.twice = found.twice or _file_effect(node)
        for name in filter(None, map(self._dotted, nodes)):
            found.twice = found.twice or _rule(_NOT_TWICE, name)
            chance = _rule(_BY_CHANCE, name)
            if not (self._seeded and chance.endswith("seed")):
                found.chance = found.chance or chance
        return found

    def _dotted(self, node: ast.AST) -> str:
        """`np.random.rand` as `numpy.random.rand`; empty for what is no such name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
            return ""
        return ".".join([self.names.get(node.id, node.id), *reversed(parts)])


def _rule(rules: dict[str, str], name: str) -> str:
    """The rule for a dotted name: its own, or that of the module it is in."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        known = rules.get(".".join(parts[:end]))
        if known:
            return known
    return ""


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            own = alias.name.partition(".")[0]
            yield (alias.asname, alias.name) if alias.asname else (own, own)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _file_effect(call: ast.Call) -> str:
    """What a call does to a file that can't be done twice, as far as its arguments show it."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _REMOVING and isinstance(call.func, ast.Attribute):
        return "removes files"
    modes = [word.value for word in call.keywords if word.arg == "mode"]
    if name == "open":  # the built-in one has the path before it, a Path's own has not
        modes += call.args[1:2] if isinstance(call.func, ast.Name) else call.args[:2]
    for mode in modes:
        if not isinstance(mode, ast.Constant):
            if isinstance(call.func, ast.Name):
                return "opens a file in a way that can't be told"
        elif isinstance(mode.value, str) and _ADDS.fullmatch(mode.value):
            return "adds to a file"
    return ""
