"""Families: which row a model gets, and that the rows hold together."""

from pathlib import Path

import pytest

from errors import SettingsError
from serving.families import FAMILIES, family_for, family_named
from tests.chat_client import asker
from tests.fake_openai import Turn
from tests.model_conformance import TASK

R1_TEMPLATE = (
    "{% for m in messages %}…{% endfor %}{% if add_generation_prompt %}"
    "{{'<｜Assistant｜><think>\\n'}}{% endif %}"
)
QWEN3_TEMPLATE = (
    "{% if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}"
)


@pytest.mark.parametrize(
    ("model_id", "name"),
    [
        ("tiny", "tiny"),
        ("/somewhere/models/tiny", "tiny"),
        ("C:\\hearth\\models\\tiny\\", "tiny"),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", "instruct"),
        ("/models/tiny/other", "instruct"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "r1-distill"),
        ("unsloth/DeepSeek-R1-Distill-Llama-8B-bnb-4bit", "r1-distill"),
        ("deepseek-r1:7b", "r1-distill"),
        ("deepseek-reasoner", "r1-distill"),
        ("unsloth/DeepSeek-R1-Distill-Qwen-7B-GGUF", "r1-distill"),
        ("bartowski/deepseek-ai_DeepSeek-R1-0528-Qwen3-8B-GGUF", "r1-distill"),
        ("RedHatAI/DeepSeek-R1-Distill-Qwen-7B-quantized.w4a16", "r1-distill"),
        ("/models/DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf", "r1-distill"),
        ("deepseek/deepseek-r1-0528:free", "r1-distill"),
        ("agentica-org/DeepCoder-14B-Preview", "r1-distill"),
        ("/c/hub/models--deepseek-ai--DeepSeek-R1-Distill-Qwen-7B/snapshots/916b56a", "r1-distill"),
        ("C:\\c\\models--Qwen--Qwen3-8B\\snapshots\\0a1b\\", "qwen3"),
        ("/c/hub/models--gpt2/snapshots/0a1b", "instruct"),
        ("deepseek-chat", "instruct"),
        ("qwen3:4b-thinking", "thinking"),
        ("qwen2.5-coder:7b", "qwen-instruct"),
        ("Qwen/Qwen3-Coder-Next", "qwen-instruct"),
        ("gpt-oss:20b", "gpt-oss"),
        ("google/gemma-3-4b-it", "instruct"),
        ("microsoft/Phi-4-mini-instruct", "instruct"),
        ("ibm-granite/granite-3.3-8b-instruct", "instruct"),
        ("claude-sonnet-4-5", "instruct"),
        ("o4-mini", "instruct"),
        ("Qwen/Qwen3-8B", "qwen3"),
        ("Qwen/Qwen3-4B-Thinking-2507", "thinking"),
        ("Qwen/Qwen3-4B-Instruct-2507", "qwen-instruct"),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "qwen-instruct"),
        ("Qwen/Qwen2.5-Coder-7B-Instruct", "qwen-instruct"),
        ("Qwen/QwQ-32B", "thinking"),
        ("microsoft/Phi-4-mini-reasoning", "reasoning"),
        ("openai/gpt-oss-20b", "gpt-oss"),
        ("meta-llama/Llama-3.1-8B-Instruct", "instruct"),
        ("gpt-5-mini", "instruct"),
        ("", "instruct"),
    ],
)
def test_family_of_an_id(model_id: str, name: str) -> None:
    assert family_for(model_id).name == name


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"chat_template": R1_TEMPLATE}, "thinking"),
        ({"chat_template": QWEN3_TEMPLATE}, "instruct"),
        ({"chat_template": QWEN3_TEMPLATE, "model_type": "qwen3"}, "qwen3"),
        ({"model_type": "gpt_oss"}, "gpt-oss"),
        ({"model_type": "llama"}, "instruct"),
        ({"hearth_family": "tiny", "model_type": "qwen3"}, "tiny"),
        ({}, "instruct"),
    ],
)
def test_family_of_a_folder_without_a_telling_name(config: dict[str, str], name: str) -> None:
    assert family_for("/data/checkpoint-500", config).name == name


def test_config_decides_over_the_id_only_when_it_names_the_family() -> None:
    assert family_for("Qwen3-8B", {"model_type": "gpt_oss"}).name == "qwen3"
    assert family_for("Qwen3-8B", {"hearth_family": "instruct"}).name == "instruct"
    with pytest.raises(SettingsError, match="unknown family: 'huge'"):
        family_for("x", {"hearth_family": "huge"})


@pytest.mark.parametrize("row", FAMILIES.values(), ids=FAMILIES)
def test_rows_hold_together(row: object) -> None:
    family = FAMILIES[row.name]  # type: ignore[attr-defined]
    assert family is row
    assert 0 < family.max_tokens < family.context_tokens
    assert family.temperature is None or 0 <= family.temperature <= 2
    assert family.top_p is None or 0 < family.top_p <= 1
    assert family.about
    assert family.thinking_tokens is None or family.thinking_tokens <= family.max_tokens // 2
    assert (family.thinking_tokens is None) == (family.thinking == "none" or row.name == "tiny")  # type: ignore[attr-defined]
    prompts = Path(__file__).parents[1] / "agent" / "prompts"
    assert (prompts / f"{family.prompt}.md").is_file()


def test_r1_as_its_readme_says() -> None:
    r1 = FAMILIES["r1-distill"]
    assert (r1.temperature, r1.top_p, r1.system_role) == (0.6, 0.95, False)
    assert r1.opens_thinking


def test_the_bundled_model_is_greedy_and_sees_one_task() -> None:
    tiny = FAMILIES["tiny"]
    assert (tiny.temperature, tiny.context_tokens, tiny.remembers_turns) == (0.0, 2048, False)
    assert tiny.opens_thinking


def test_a_family_that_the_user_names() -> None:
    assert family_named("qwen3-no-thinking").request == {
        "chat_template_kwargs": {"enable_thinking": False}
    }
    with pytest.raises(SettingsError, match="unknown family: 'r2'") as caught:
        family_named("r2")
    assert "HEARTH_FAMILY" in caught.value.fix and "r1-distill" in caught.value.fix


def test_its_own_fields_are_sent_and_dropped_where_a_server_does_not_take_them() -> None:
    with asker() as ask:
        refusal = Turn(
            status=422,
            error={"detail": "Unexpected fields in the request: {'chat_template_kwargs'}"},
        )
        model, server = ask(refusal, Turn("fine"), family=FAMILIES["qwen3-no-thinking"])
        assert model.generate(TASK).content == "fine"
        assert "chat_template_kwargs" in server.chats[0].body
        assert "chat_template_kwargs" not in server.chats[1].body
