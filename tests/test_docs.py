"""What the documents say is so."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
# Folders whose files the tree in the README need not list one by one.
GROUPED = {
    "tests/",
    "models/tiny/",
    "serving/tiny/",
    "agent/prompts/",
    "docs/",
    ".ci/",
    "benchmarks/results/",
}


def tracked() -> list[str]:
    """The files of the repository; not what else lies about, such as a user's own tables."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    command = ["git", "-c", "safe.directory=*", "ls-files"]  # whoever owns the checkout
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (ROOT / name).exists()]


def readme_tree() -> list[str]:
    """The paths of the README's file tree: folders end in a slash, files stand below them."""
    text = (ROOT / "README.md").read_text()
    block = re.search(r"<!-- tree -->\n```\n(.*?)```", text, re.DOTALL)
    assert block, "README.md holds the tree between <!-- tree --> and a fence"
    paths, folder = [], ""
    for line in block[1].splitlines():
        name, _, said = line.strip().partition(" ")
        assert said.strip(), f"{name} has no words beside it"
        if not line.startswith(" "):
            folder = name if name.endswith("/") else ""
            paths.append(name)
        else:
            paths.append(folder + name)
    return paths


def test_the_tree_in_the_readme_is_the_real_one() -> None:
    listed = set(readme_tree())
    grouped = {folder for folder in GROUPED if folder in listed}
    real = set()
    for name in tracked():
        group = next((folder for folder in grouped if name.startswith(folder)), None)
        if group:
            real.add(group)
        elif not name.endswith("__init__.py"):
            real.add(name)
            if "/" in name:
                real.add(name.rsplit("/", 1)[0] + "/")
    assert listed == real


@pytest.mark.parametrize(
    "name", ["README.md", "docs/life_of_a_request.md", "docs/security.md", "CHANGELOG.md"]
)
def test_files_named_in_the_documents_exist(name: str) -> None:
    text = (ROOT / name).read_text()
    named = re.findall(r"`([\w./]+\.(?:py|md|txt|toml|ipynb|sh|jsonl?|safetensors))`", text)
    links = re.findall(r"\]\((?!http|#)([^)#]+)", text)
    made_by_use = {"hearth.toml", "plot.png", "sales.csv"}
    for path in {*named, *links} - made_by_use:
        assert (ROOT / path).exists() or (ROOT / name).parent.joinpath(path).exists(), path


def test_make_targets_in_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in set(re.findall(r"`?make ([a-z][\w-]+)", (ROOT / "README.md").read_text())):
        assert target in targets, target


@pytest.mark.timeout(300)
def test_the_quickstart_notebook_runs_from_top_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path / "data"))
    notebook = nbformat.read(ROOT / "notebooks" / "quickstart.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) == 10
    assert all(not cell.outputs for cell in cells), "the notebook is kept without outputs"
    (ROOT / "build").mkdir(exist_ok=True)
    # Inside the project, as Jupyter runs it; what the notebook writes goes away with the folder.
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        NotebookClient(
            notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": folder}}
        ).execute()
    outputs = [
        output.get("text", "") or str(output.get("data", {}).get("text/plain", ""))
        for cell in cells
        for output in cell.outputs
    ]
    said = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(outputs))  # without the colours
    assert "430.6" in said
    assert re.search(r"Answer: South", said), "175 units, against 150 in the North"
    pictures = [o for c in cells for o in c.outputs if "image/png" in o.get("data", {})]
    assert pictures, "the plot is shown"


@pytest.mark.parametrize("name", ["loop_agent", "serving"])
def test_a_benchmark_that_needs_an_engine_starts_at_least(name: str) -> None:
    """What it imports of the parts is still there."""
    command = [sys.executable, f"benchmarks/{name}.py", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "--runs" in done.stdout, done.stderr
