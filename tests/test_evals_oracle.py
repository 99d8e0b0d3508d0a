"""The generator's own solutions, through the whole agent, are right: so the generator, the tools,
the sandbox and the scorers mean the same, and a wrong answer of the model is its own.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agent.build import Hearth
from evals.runner import open_session, run_task
from evals.tasks import load_tasks
from serving.families import FAMILIES
from serving.scripted import ScriptedModel
from serving.tiny.families import all_families
from serving.tiny.generate import evaluation_examples
from settings import Settings


class Oracle(Hearth):
    """A Hearth whose model has nothing to say: every step of its tasks is given."""

    def new_model(self, *, pinned: bool = False) -> ScriptedModel:  # type: ignore[override]
        return ScriptedModel([], FAMILIES["tiny"])


def test_every_family_of_tasks_can_be_solved(tmp_path: Path) -> None:
    rows = [
        example.to_dict() | {"given": len(example.steps)}
        for example in evaluation_examples(held_out=False, per_family=1, seed=7)
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    tasks = load_tasks([tmp_path / "t.jsonl"])
    assert {task.family for task in tasks} == set(all_families())
    opened = open_session(Oracle(Settings(data_dir=tmp_path / "data")))
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda task: run_task(task, opened), tasks))
    assert [(r.family, r.task, r.why, r.error) for r in results if not r.right] == []
