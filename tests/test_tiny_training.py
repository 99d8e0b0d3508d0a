"""The bundled model's workshop: tokenizer, template, rendering, training, export."""

import dataclasses
import itertools
import os
import signal
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from agent.context import observation_text
from errors import CodeError
from serving.tiny import generate as stream
from serving.tiny.data import Sequences, drill
from serving.tiny.example import Example, Expect, Step
from serving.tiny.export import export, fill_accuracy
from serving.tiny.judge import is_right
from serving.tiny.model import MAX_FILE_BYTES, Shape
from serving.tiny.render import encode, first_message, next_messages, texts, turns
from serving.tiny.template import EOS, SPECIAL_TOKENS, THINKING_TOKENS, prompt_text
from serving.tiny.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from serving.tiny.train import Plan, Run, train
from serving.tiny.world import World

FAMILIES = ["text_reverse", "recover_column"]
SMALL = Shape(600, 128, 256, 2, 2, 1)


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    examples = stream.examples("tokenizer test", families=FAMILIES)
    found = [text for _ in range(150) for text in texts(next(examples), folder / "work")]
    save_tokenizer(train_tokenizer(found, SMALL.vocab_size), folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder: Path) -> Tokenizer:
    return load_tokenizer(tokenizer_folder)


@pytest.fixture(scope="module")
def data(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Sequences:
    path = tmp_path_factory.mktemp("data") / "shard.npz"
    shard = stream.make_shard(0, 0, tokenizer, 160, families=FAMILIES)
    np.savez(path, **shard)  # type: ignore[arg-type]
    return Sequences([path])


@pytest.fixture
def plan() -> Plan:
    return Plan(tokens=10**6, batch_tokens=1024, shape=SMALL, warm_up=1e-3, seed=1)


# The tokenizer


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_a_round_trip(text: str) -> None:
    tokenizer = _shipped()
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == unicodedata.normalize("NFC", text)


@settings(max_examples=100, deadline=None)
@given(word=st.from_regex(r"[a-zA-Z]{1,12}", fullmatch=True), number=st.integers(0, 10**9))
def test_a_word_and_a_number_are_the_same_tokens_wherever_they_stand(
    word: str, number: int
) -> None:
    tokenizer = _shipped()
    alone = tokenizer.encode(word).tokens
    for before in (" ", '"', "(", "\n", '["', "    ", "x = '"):
        tokens = tokenizer.encode(before + word).tokens
        assert tokens[-len(alone) :] == alone, before
    digits = [token for token in tokenizer.encode(f"({number}x").tokens if token.isdigit()]
    assert digits == list(str(number))


def _shipped() -> Tokenizer:
    return load_tokenizer(Path(__file__).parents[1] / "models" / "tiny")


def test_transformers_cuts_text_as_the_raw_tokenizer_does(
    tokenizer: Tokenizer, tokenizer_folder: Path
) -> None:
    loaded = _auto_tokenizer(tokenizer_folder)
    for text in ("def f(x):\n    return x + 1", "it's 3.14 “quoted” é 😀\t\r\n\n", EOS + "<think>"):
        assert loaded(text)["input_ids"] == tokenizer.encode(text).ids
    assert len(loaded) == tokenizer.get_vocab_size()
    thinking = loaded.convert_tokens_to_ids(list(THINKING_TOKENS))
    assert loaded.decode(thinking, skip_special_tokens=True) == "".join(THINKING_TOKENS)
    special = loaded.convert_tokens_to_ids(list(SPECIAL_TOKENS))
    assert loaded.decode(special, skip_special_tokens=True) == ""


def _auto_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    return AutoTokenizer.from_pretrained(folder)


# Template and rendering


def test_the_template_gives_what_the_model_is_trained_on(tokenizer_folder: Path) -> None:
    loaded = _auto_tokenizer(tokenizer_folder)
    messages = [{"role": "user", "content": " A task with spaces \n"}]
    messages += next_messages("x = 1\n", "Output:\n  indented\n")
    late = [*messages[:1], {"role": "assistant", "content": "old</think>\n\nsaid "}, *messages]
    system = [{"role": "system", "content": "Be brief.\n"}, *messages]
    parts: list[Any] = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in system]
    for some in (messages, late, system, parts):
        text = loaded.apply_chat_template(some, tokenize=False, add_generation_prompt=True)
        plain = system if some is parts else some
        assert text == prompt_text(plain)
    assert "old" not in prompt_text(late)


def _example(**changes: Any) -> Example:
    steps = [
        Step("I try.", 'open("no.txt")'),
        Step("I look.", "notes = 3\nprint(notes)"),
        Step("I know.", "final_answer(notes)"),
    ]
    example = Example("test", "{x}", "What is it?", Expect("number", 3), steps, given=1)
    return dataclasses.replace(example, **changes)


def test_each_step_is_a_turn_with_what_the_agent_really_shows(tmp_path: Path) -> None:
    found = turns(_example(files={"a.txt": b"x"}), tmp_path / "work")
    assert [turn.thinking for turn in found] == ["I look.", "I know."]
    assert found[0].messages[0]["content"] == "What is it?\n\nFiles: a.txt"
    failed = found[0].messages[2]["content"]
    assert failed.startswith('Error:\nline 1: open("no.txt")\nFileNotFoundError: ')
    assert found[1].messages[-1]["content"] == "Output:\n3"
    assert "I look." not in found[1].prompt
    assert found[1].reply == f"I know.\n</think>\n\n```python\nfinal_answer(notes)\n```{EOS}"


def test_only_the_reply_carries_loss(tokenizer: Tokenizer, tmp_path: Path) -> None:
    turn = turns(_example(), tmp_path / "work")[1]
    sequence = encode(turn, tokenizer)
    reply = tokenizer.decode(sequence.ids[sequence.prompt_tokens :], skip_special_tokens=False)
    assert reply == turn.reply
    path = tmp_path / "one.npz"
    numbers = {"lengths": len(sequence.ids), "prompts": sequence.prompt_tokens, "families": 0}
    arrays: dict[str, Any] = {name: np.array([number]) for name, number in numbers.items()}
    np.savez(path, ids=sequence.ids, **arrays)
    batch = Sequences([path]).batch(np.array([0]))
    learned = batch.targets[0][batch.targets[0] != -100].tolist()
    assert tokenizer.decode(learned, skip_special_tokens=False) == turn.reply
    at = int(np.argmax(batch.targets[0] != -100))
    assert batch.ids[0][at + 1] == batch.targets[0][at]


def test_a_step_that_answers_too_early_is_refused(tmp_path: Path) -> None:
    steps = [Step("", "final_answer(1)"), Step("", "final_answer(2)")]
    with pytest.raises(ValueError, match="step 1 already answers"):
        turns(_example(steps=steps, given=0), tmp_path / "work")


WORLD_CODE = [
    "print('a', 1)\nx = 2",
    "x * 2",
    "import pandas as pd\ndf = pd.DataFrame({'a': [1]})\nprint('so far')\ndf['b']",
    "def f(n):\n    return 1 / n\nprint(f(0))",
    "prnt(x)",
    "print('x'",
    "print(inspect_table('t.csv'))",
    "print(read_file('none.txt'))",
    "print(search_notes('wifi password'), search_notes('nothing'))",
    "print(web_search('any'))",
    "print(remember('The key is blue'))",
    "[][1]",
    "print(calculate('1 +'))",
]


def test_the_world_shows_what_the_sandbox_shows(tmp_path: Path) -> None:
    """The training text is made without the sandbox; this is what keeps the two the same."""
    from sandbox.executor import SandboxExecutor
    from tools.calculate import Calculate
    from tools.inspect_table import InspectTable
    from tools.read_file import ReadFile
    from tools.remember import Remember
    from tools.search_notes import SearchNotes
    from tools.web_search import WebSearch

    example = _example(files={"t.csv": b"a,b\n1,x\n2,y\n"}, notes={"n.md": "- wifi password: q\n"})
    world = World(example, tmp_path / "world")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "t.csv").write_bytes(example.files["t.csv"])
    tools: list[Any] = [
        Calculate(),
        InspectTable(workspace),
        ReadFile(workspace),
        Remember(lambda text: None),
        SearchNotes(world.names["search_notes"]),
        WebSearch(lambda query, most: []),
    ]
    executor = SandboxExecutor(workspace)
    try:
        executor.send_tools({tool.name: tool for tool in tools})
        for code in WORLD_CODE:
            ran = world.run(code)
            here = observation_text(ran.printed, ran.error, ran.value)
            assert here == _in_sandbox(executor, code), code
    finally:
        executor.cleanup()


def _in_sandbox(executor: Any, code: str) -> str:
    try:
        output = executor(code)
    except CodeError as error:
        return observation_text(executor.state["_print_outputs"], str(error))
    return observation_text(output.logs, None, output.output)


# The streams


def test_what_is_evaluated_is_never_trained_on() -> None:
    for name in FAMILIES:
        trained = stream.examples("train 0 0", families=[name])
        assert not any(next(trained).for_evaluation for _ in range(100))
        for held_out in (False, True):
            tested = stream.examples("x", held_out, evaluation=True, families=[name])
            assert all(next(tested).for_evaluation for _ in range(3))


def test_the_same_seed_gives_the_same_data(tokenizer: Tokenizer) -> None:
    def shard(seed: int, number: int) -> list[int]:
        made = stream.make_shard(seed, number, tokenizer, 10, families=FAMILIES)
        return list(made["ids"].tolist())

    assert shard(5, 1) == shard(5, 1)
    assert shard(5, 1) != shard(5, 2)
    assert shard(5, 1) != shard(6, 1)


def test_batches_hold_every_sequence_once_and_keep_their_size(data: Sequences) -> None:
    plan = data.plan(seed=0, epoch=0, batch_tokens=1024)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(data)))
    sizes = [len(rows) * data.lengths[rows].max() for rows in plan]
    assert max(sizes) <= max(1024, data.lengths.max())
    other = data.plan(seed=0, epoch=1, batch_tokens=1024)
    assert [rows.tolist() for rows in plan] != [rows.tolist() for rows in other]


@pytest.mark.parametrize("step", range(6))
def test_a_drill_asks_only_for_what_stands_in_its_prompt(step: int) -> None:
    batch = drill(3, step, 600, 1024)
    for ids, targets in zip(batch.ids.tolist(), batch.targets.tolist(), strict=True):
        end = ids.index(3)
        text, counted = ids[2:end], [at for at, token in enumerate(targets) if token != -100]
        assert counted and min(counted) > end
        pairs = set(itertools.pairwise(text))
        assert {(ids[at], targets[at]) for at in counted} <= pairs


@pytest.mark.parametrize(
    ("kind", "value", "answer", "right"),
    [
        ("number", 3, 3.0, True),
        ("number", 3, "about 3", True),
        ("number", 3, "3 or 4", False),
        ("number", 3, True, False),
        ("number", 2**80, 2**80 + 1, False),
        ("text", "Ann", "It is  ann.", True),
        ("text", "Ann", "Bob", False),
        ("list", ["a", 1.5], ("A", 1.5), True),
        ("list", ["a", "b"], ["b", "a"], False),
        ("list", ["a"], "a", False),
        ("file", "made.png", None, True),
        ("file", "other.png", None, False),
        ("refusal", "", "The bundled model can't do this.", True),
        ("refusal", "", "Yes.", False),
    ],
)
def test_answers_are_judged(
    tmp_path: Path, kind: str, value: Any, answer: Any, right: bool
) -> None:
    (tmp_path / "made.png").write_bytes(b"x")
    assert is_right(Expect(kind, value), answer, tmp_path) is right


# Training


def _state(run: Run) -> dict[str, Any]:
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def test_loss_falls_and_a_stopped_run_goes_on_exactly(
    plan: Plan, data: Sequences, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    import torch

    whole = Run(plan, data, "data", tmp_path / "whole")
    assert not train(whole, tokenizer, {}, steps=1, threads=1)
    first = whole.loss
    train(whole, tokenizer, {}, steps=21, threads=1)
    assert whole.loss < 0.95 * first

    for steps in (8, 14):
        half = Run(plan, data, "data", tmp_path / "half")
        train(half, tokenizer, {}, steps=steps, threads=1)
    assert (half.step, half.tokens) == (whole.step, whole.tokens)
    expected = _state(whole)
    for name, value in _state(half).items():
        assert torch.equal(value, expected[name]), name


def test_a_signal_saves_and_stops(
    plan: Plan, data: Sequences, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    class Interrupted(Run):
        def learn(self, ids: Any, targets: Any) -> float:
            if self.step == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().learn(ids, targets)

    before = signal.getsignal(signal.SIGTERM)
    assert not train(Interrupted(plan, data, "data", tmp_path), tokenizer, {}, threads=1)
    assert signal.getsignal(signal.SIGTERM) is before
    assert Run(plan, data, "data", tmp_path).step == 3
    assert Run(plan, data, "other data", tmp_path).position == 0


def test_a_changed_recipe_is_told(
    plan: Plan, data: Sequences, tokenizer: Tokenizer, tokenizer_folder: Path, tmp_path: Path
) -> None:
    train(Run(plan, data, "data", tmp_path / "run"), tokenizer, {}, steps=1, threads=1)
    slower = dataclasses.replace(plan, rate=plan.rate / 2)
    for fingerprint in ("data", "other data", "other data"):
        run = Run(slower, data, fingerprint, tmp_path / "run")
        train(run, tokenizer, {}, steps=1, threads=1)
    assert len(run.history) == 3
    export(tmp_path / "run" / "checkpoint.pt", tokenizer_folder, slower, tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert "after 0.0 million tokens: learning rate 0.002 → 0.001\n" in card
    assert "after 0.0 million tokens: the families' code was revised\n" in card


def test_a_plan_of_few_tokens_comes_to_its_end(
    plan: Plan, data: Sequences, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    short = dataclasses.replace(plan, tokens=3000)
    assert train(Run(short, data, "data", tmp_path), tokenizer, {}, threads=1)
    assert short.share(0) < short.share(1000) == 1.0 > short.share(2500) > short.share(3000) == 0


# Export


@pytest.fixture(scope="module")
def exported(
    data: Sequences, tokenizer: Tokenizer, tokenizer_folder: Path, tmp_path_factory: Any
) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("export")
    plan = Plan(tokens=1000, batch_tokens=1024, shape=SMALL)
    train(Run(plan, data, "data", folder / "run"), tokenizer, {}, steps=1, threads=1)
    export(folder / "run" / "checkpoint.pt", tokenizer_folder, plan, folder / "model")
    yield folder / "model"


def test_an_exported_folder_loads_and_generates(exported: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(exported)
    assert model.config.model_type == "qwen2" and model.dtype == torch.bfloat16
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    tokenizer = AutoTokenizer.from_pretrained(exported)
    message = first_message(next(stream.examples("x", families=FAMILIES)))
    ids: Any = tokenizer.apply_chat_template(
        [message], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    out = model.generate(**ids, max_new_tokens=5)
    assert out.shape[1] > ids["input_ids"].shape[1]


def test_the_card_takes_an_accuracy_table(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    filled = fill_accuracy(fill_accuracy(card, "| old |"), "| new \\1 |")
    assert "| new \\1 |" in filled and "| old |" not in filled and "Not measured" not in filled
    with pytest.raises(ValueError, match="markers"):
        fill_accuracy("no markers", "")


def test_the_whole_model_fits_in_its_file() -> None:
    from serving.tiny.model import new_model

    shape = Shape()
    model = new_model(shape, 0)
    weights = sum(p.numel() for p in model.parameters())
    header = 8192
    assert 2 * weights + header <= MAX_FILE_BYTES
    assert model.config.head_dim == 64 and shape.hidden_size == 64 * shape.num_attention_heads


def test_the_model_in_the_repository_is_one_that_loads() -> None:
    from transformers import AutoModelForCausalLM

    folder = Path(__file__).parents[1] / "models" / "tiny"
    assert (folder / "model.safetensors").stat().st_size <= MAX_FILE_BYTES
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.vocab_size == load_tokenizer(folder).get_vocab_size()
