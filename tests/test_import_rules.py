"""Who may import whom; read from the syntax trees, so that nothing has to run."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {"agent", "tools", "serving", "sandbox", "memory", "evals", "web"}
OURS = ROOMS | {"settings", "errors", "app", "deploy", "notebooks", "benchmarks"}
GROUND = {"settings", "errors"}
PARTS = {"tools", "serving", "sandbox", "memory"}

# For each place (the longest matching prefix counts): what of ours it may import beside itself.
ALLOWED: dict[str, set[str]] = {
    "settings": {"errors"},
    "errors": set(),
    "tools": GROUND,
    "serving": GROUND,
    "sandbox": GROUND,
    "memory": GROUND,
    "agent": {"agent", "errors"},
    "agent.events": set(),
    "agent.build": GROUND | PARTS | {"agent"},
    "agent.wiring": GROUND | PARTS | {"agent"},
    "agent.__main__": GROUND | PARTS | {"agent"},
    "web": GROUND | PARTS | {"agent"},
    "evals": GROUND | PARTS | {"agent"},
    # The workshop writes down what the agent would send, so it asks the agent's own code.
    "serving.tiny": GROUND | PARTS | {"agent"},
    "app": OURS,
    "deploy": OURS,
    "benchmarks": OURS,
    "scripts": set(),
}
HEAVY = {"torch", "transformers", "vllm"}
# Imported by nobody: a script, and the model of the one engine that is in the app's process,
# which is loaded by name where ZeroGPU allows no other.
ENGINE_PROCESSES = {"serving.transformers_server", "serving.zero_worker"}


def modules() -> Iterator[tuple[str, Path]]:
    for place in sorted(OURS | {"scripts"}):
        for path in sorted([*ROOT.glob(f"{place}.py"), *(ROOT / place).rglob("*.py")]):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts), path


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which room a name comes from"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rule_for(module: str) -> tuple[str, set[str]]:
    place = max((p for p in ALLOWED if module == p or module.startswith(p + ".")), key=len)
    return place, ALLOWED[place]


def violations(module: str, tree: ast.Module) -> list[str]:
    place, allowed = rule_for(module)
    home = module.split(".")[0]
    bad = []
    for name in imports(tree):
        room = name.split(".")[0]
        if room not in OURS:
            continue
        if name.startswith("serving.tiny") and place != "serving.tiny":
            bad.append(f"{module} imports {name}: nothing imports the workshop")
        elif room not in allowed and not (room == home and place != "agent.events"):
            bad.append(f"{module} imports {name}; allowed: {sorted(allowed | {home})}")
    wired = ("agent.build", "agent.wiring")
    if home == "agent" and place == "agent" and any(n.startswith(wired) for n in imports(tree)):
        bad.append(f"{module} imports agent.build, which wires everything and is imported last")
    return bad


MODULES = dict(modules())


@pytest.mark.parametrize("module", MODULES)
def test_imports_stay_within_the_rules(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    assert violations(module, tree) == []


@pytest.mark.parametrize(
    "module", [m for m in MODULES if not m.startswith("serving.tiny") and m not in ENGINE_PROCESSES]
)
def test_the_app_never_imports_an_engine(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    names = set(imports(tree))
    assert HEAVY.isdisjoint(name.split(".")[0] for name in names)
    assert ENGINE_PROCESSES.isdisjoint(names)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tools.web_search", "import serving.chat"),
        ("serving.chat", "from agent import events"),
        ("agent.session", "from sandbox.executor import SandboxExecutor"),
        ("agent.events", "from agent import context"),
        ("web.chat", "import evals.runner"),
        ("agent.build", "from serving.tiny import train"),
        ("sandbox.wire", "import tools"),
    ],
)
def test_the_rules_can_be_broken(module: str, source: str) -> None:
    """A check of the check: each of these is forbidden."""
    assert violations(module, ast.parse(source)) != []


def test_no_file_grows_past_four_hundred_lines() -> None:
    long = {m: n for m, p in MODULES.items() if (n := len(p.read_text().splitlines())) > 400}
    assert long == {}
