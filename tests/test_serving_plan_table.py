"""The plan of each R1 distill on each accelerator, and the table in docs/serving.md."""

from pathlib import Path

import pytest

from serving.hardware import RecordedMachine, look
from serving.hardware.findings import GIB
from serving.plan import NAMED, ServingPlan, make_plan
from serving.plan.known import CONFIGS
from serving.plan.shapes import shape_from_config
from serving.plan.table import DISTILLS, markdown_table, plan_for
from settings import ROOT

FIXTURES = Path(__file__).parent / "fixtures" / "hardware"
SEVEN = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"


def words(plan: ServingPlan) -> str:
    """A plan in one line: engine, format, type, context, conversations; or what it lacks."""
    if not plan.fits:
        then = plan.next
        what = f"{then.model.rpartition('-')[2]} on {then.engine}" if then else "an endpoint"
        return f"{plan.shortfall_bytes / GIB:.1f} GiB short, then {what}"
    eager = " eager" if "--enforce-eager" in plan.arguments else ""
    bits = (plan.engine, plan.format, plan.dtype, plan.context, plan.concurrency)
    return " ".join(map(str, bits)) + eager


EXPECTED = {
    ("t4", "1.5B"): "vllm bf16 float16 16384 27",
    ("t4", "7B"): "vllm w4a16 float16 16384 10",
    ("t4", "14B"): "vllm w4a16 float16 16384 1 eager",
    ("t4", "32B"): "7.6 GiB short, then 14B on vllm",
    ("l4", "1.5B"): "vllm bf16 bfloat16 131072 48",
    ("l4", "7B"): "vllm fp8 bfloat16 32768 16",
    ("l4", "14B"): "vllm w4a16 bfloat16 16384 4",
    ("l4", "32B"): "0.7 GiB short, then 14B on vllm",
    ("a10g", "1.5B"): "vllm bf16 bfloat16 131072 48",
    ("a10g", "7B"): "vllm bf16 bfloat16 16384 7",
    ("a10g", "14B"): "vllm fp8 bfloat16 16384 1",
    ("a10g", "32B"): "0.7 GiB short, then 14B on vllm",
    ("l40s", "1.5B"): "vllm bf16 bfloat16 131072 64",
    ("l40s", "7B"): "vllm bf16 bfloat16 65536 39",
    ("l40s", "14B"): "vllm fp8 bfloat16 32768 10",
    ("l40s", "32B"): "vllm w4a16 bfloat16 16384 7",
    ("a100-40", "1.5B"): "vllm bf16 bfloat16 131072 64",
    ("a100-40", "7B"): "vllm bf16 bfloat16 65536 32",
    ("a100-40", "14B"): "vllm fp8 bfloat16 16384 8",
    ("a100-40", "32B"): "vllm w4a16 bfloat16 16384 5",
    ("a100-80", "1.5B"): "vllm bf16 bfloat16 131072 64",
    ("a100-80", "7B"): "vllm bf16 bfloat16 131072 64",
    ("a100-80", "14B"): "vllm bf16 bfloat16 32768 19",
    ("a100-80", "32B"): "vllm fp8 bfloat16 32768 13",
    ("h100", "1.5B"): "vllm bf16 bfloat16 131072 64",
    ("h100", "7B"): "vllm bf16 bfloat16 131072 64",
    ("h100", "14B"): "vllm bf16 bfloat16 32768 19",
    ("h100", "32B"): "vllm fp8 bfloat16 32768 12",
    ("g4", "1.5B"): "vllm bf16 bfloat16 131072 64",
    ("g4", "7B"): "vllm bf16 bfloat16 131072 64",
    ("g4", "14B"): "vllm bf16 bfloat16 65536 26",
    ("g4", "32B"): "vllm fp8 bfloat16 32768 17",
    ("v5e-1", "1.5B"): "vllm-tpu bf16 bfloat16 16384 30",
    ("v5e-1", "7B"): "1.5 GiB short, then 1.5B on vllm-tpu",
    ("v5e-1", "14B"): "15.8 GiB short, then 1.5B on vllm-tpu",
    ("v5e-1", "32B"): "49.9 GiB short, then 1.5B on vllm-tpu",
    ("v6e-1", "1.5B"): "vllm-tpu bf16 bfloat16 131072 64",
    ("v6e-1", "7B"): "vllm-tpu bf16 bfloat16 32768 20",
    ("v6e-1", "14B"): "1.6 GiB short, then 7B on vllm-tpu",
    ("v6e-1", "32B"): "35.7 GiB short, then 7B on vllm-tpu",
    ("zerogpu", "1.5B"): "zerogpu bf16 bfloat16 32768 1",
    ("zerogpu", "7B"): "zerogpu bf16 bfloat16 32768 1",
    ("zerogpu", "14B"): "zerogpu bf16 bfloat16 32768 1",
    ("zerogpu", "32B"): "zerogpu bf16 bfloat16 32768 1",
    ("rtx-4060-laptop", "1.5B"): "vllm bf16 bfloat16 16384 7",
    ("rtx-4060-laptop", "7B"): "vllm w4a16 bfloat16 8192 1",
    ("rtx-4060-laptop", "14B"): "4.7 GiB short, then 7B on vllm",
    ("rtx-4060-laptop", "32B"): "14.0 GiB short, then 7B on vllm",
    ("rtx-3090", "1.5B"): "vllm bf16 bfloat16 131072 53",
    ("rtx-3090", "7B"): "vllm bf16 bfloat16 16384 9",
    ("rtx-3090", "14B"): "vllm fp8 bfloat16 16384 2",
    ("rtx-3090", "32B"): "vllm w4a16 bfloat16 8192 1 eager",
    ("rtx-4090", "1.5B"): "vllm bf16 bfloat16 131072 53",
    ("rtx-4090", "7B"): "vllm bf16 bfloat16 16384 9",
    ("rtx-4090", "14B"): "vllm fp8 bfloat16 16384 2",
    ("rtx-4090", "32B"): "vllm w4a16 bfloat16 8192 1 eager",
    ("mac", "1.5B"): "llamacpp gguf float16 16384 1",
    ("mac", "7B"): "llamacpp gguf float16 16384 1",
    ("mac", "14B"): "0.5 GiB short, then 7B on llamacpp",
    ("mac", "32B"): "11.3 GiB short, then 7B on llamacpp",
    ("cpu", "1.5B"): "llamacpp gguf float16 16384 1",
    ("cpu", "7B"): "llamacpp gguf float16 16384 1",
    ("cpu", "14B"): "llamacpp gguf float16 16384 1",
    ("cpu", "32B"): "7.3 GiB short, then 14B on llamacpp",
}


def test_the_table_names_every_accelerator_and_distill() -> None:
    assert set(EXPECTED) == {(name, size) for name in NAMED for size in DISTILLS}


@pytest.mark.parametrize(("name", "size"), EXPECTED)
def test_the_plan_of_each_distill_on_each_accelerator(name: str, size: str) -> None:
    assert words(plan_for(name, size)) == EXPECTED[name, size]


@pytest.mark.parametrize(
    ("recorded", "named"),
    [
        ("colab_t4", "t4"),
        ("colab_l4", "l4"),
        ("colab_a100_40", "a100-40"),
        ("colab_a100_80", "a100-80"),
        ("colab_h100", "h100"),
        ("colab_g4", "g4"),
        ("colab_v5e_1", "v5e-1"),
        ("colab_v6e_1", "v6e-1"),
        ("space_l4", "l4"),
        ("space_a10g", "a10g"),
        ("space_l40s", "l40s"),
        ("space_zerogpu", "zerogpu"),
        ("laptop_rtx_4060", "rtx-4060-laptop"),
        ("wsl_rtx_4060", "rtx-4060-laptop"),
        ("mac_m2", "mac"),
        ("space_cpu_basic", "cpu"),
    ],
)
def test_a_machine_that_was_looked_at_gets_the_plan_of_its_name(recorded: str, named: str) -> None:
    machine = look(RecordedMachine.load(FIXTURES / f"{recorded}.json"))
    found, told = (
        make_plan(machine, shape_from_config(CONFIGS[SEVEN], SEVEN, "known")),
        plan_for(named, "7B"),
    )
    assert (found.engine, found.format, found.dtype) == (told.engine, told.format, told.dtype)
    assert found.context == told.context and abs(found.concurrency - told.concurrency) <= 1


def test_the_table_in_the_documents_is_the_one_that_is_made() -> None:
    """Made anew with: python -m serving plan --table"""
    text = (ROOT / "docs" / "serving.md").read_text()
    assert "<!-- plans -->\n" + markdown_table() + "<!-- end -->" in text


def pins(name: str) -> dict[str, str]:
    """The packages that a requirements file pins."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return dict(line.split("==") for line in lines if line)


def test_the_gpu_requirements_are_pins_with_reasons() -> None:
    gpu = pins("requirements-gpu.txt")
    assert set(gpu) == {"vllm", "torch"}
    ours = (ROOT / "requirements.txt").read_text()
    assert f"torch=={gpu['torch']} " in ours, "both engines need the same driver"
    assert "\nvllm" not in ours and "\nbitsandbytes==" in ours and "\naccelerate==" in ours
    flags = (ROOT / "serving" / "plan" / "flags.py").read_text()
    assert f"those of {gpu['vllm'].rpartition('.')[0]} " in flags, "read its flags anew"
    for line in (ROOT / "requirements-gpu.txt").read_text().splitlines():
        assert "==" not in line or "#" in line, f"a pin without its reason: {line}"
