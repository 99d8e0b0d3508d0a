"""Which plan is made for which machine and model, and what is said of it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import InputError, SettingsError
from serving.hardware import Hardware, RecordedMachine, look
from serving.hardware.findings import GIB
from serving.plan import NAMED, ServingPlan, Wishes, make_plan, named_hardware
from serving.plan.known import CONFIGS
from serving.plan.shapes import Shape, shape_from_config
from serving.plan.table import plan_for

FIXTURES = Path(__file__).parent / "fixtures" / "hardware"
R1 = "deepseek-ai/DeepSeek-R1-Distill-Qwen-"
SEVEN = f"{R1}7B"


def shape(model_id: str, **change: Any) -> Shape:
    return shape_from_config(CONFIGS[model_id] | change, model_id, "known")


def seen(name: str) -> Hardware:
    return look(RecordedMachine.load(FIXTURES / f"{name}.json"))


# what every plan must be ----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMED)
def test_the_sums_come_out(name: str) -> None:
    for model_id in CONFIGS:
        if name == "zerogpu" and "gpt-oss" in model_id:
            continue  # no engine there takes its weights; see below
        plan = make_plan(named_hardware(name), shape(model_id))
        while plan is not None:
            taken = plan.weight_bytes + plan.overhead_bytes
            held = plan.usable_bytes - taken
            if plan.fits:
                assert not plan.next and not plan.shortfall_bytes and not plan.lacks
                assert plan.kv_tokens * plan.kv_bytes_per_token <= held
                assert plan.context <= plan.kv_tokens and plan.concurrency >= 1
                assert plan.context <= shape(plan.model).context
            else:
                assert plan.shortfall_bytes > 0 and plan.lacks == "memory"
                least = min(8192, shape(plan.model).context) * plan.kv_bytes_per_token
                assert held < least
                assert held + plan.shortfall_bytes == pytest.approx(least, abs=300 << 20)
            assert plan.reasons and all(r.reason for r in plan.rejected)
            assert all(flag.reason for flag in (*plan.flags, *plan.left_alone, *plan.environment))
            json.dumps(plan.to_dict())
            plan = plan.next  # type: ignore[assignment]


@given(
    size=st.floats(4, 200),
    free=st.floats(0, 1),
    model_id=st.sampled_from(list(CONFIGS)),
    capability=st.sampled_from([7.5, 8.0, 8.9, 9.0, 12.0]),
)
def test_more_memory_is_never_worse(
    size: float, free: float, model_id: str, capability: float
) -> None:
    total = int(size * GIB)
    card = change(
        named_hardware("l4"),
        name="NVIDIA Something",
        total_bytes=total,
        free_bytes=int(total * free),
        capability=capability,
    )
    wishes = Wishes(engine="vllm")
    try:
        plan = make_plan(card, shape(model_id), wishes)
    except InputError:  # MXFP4 needs Ampere
        assert "gpt-oss" in model_id and capability == 7.5
        return
    more = make_plan(change(card, free_bytes=total), shape(model_id), wishes)
    assert not plan.fits or more.fits
    if plan.fits:
        share = float(flag(plan, "--gpu-memory-utilization"))
        assert share * total <= total * free + 1  # vLLM would refuse to start
        # or it buys a better quality
        assert more.context >= plan.context or more.format != plan.format
    less = make_plan(card, shape(model_id), Wishes(engine="vllm", spare_bytes=GIB))
    hundredth = total // 100 + 1  # shares are whole hundredths
    assert less.usable_bytes <= max(0, plan.usable_bytes - GIB + hundredth)


def test_the_plan_after_one_that_ran_out_of_memory() -> None:
    for name in ("t4", "v6e-1"):
        before = plan_for(name, "7B")
        after = make_plan(named_hardware(name), shape(SEVEN), Wishes(spare_bytes=GIB))
        assert after.fits and after.usable_bytes <= before.usable_bytes - GIB
        assert after.kv_tokens < before.kv_tokens
    small = make_plan(named_hardware("laptop"), shape(SEVEN), Wishes(spare_bytes=GIB))
    assert not small.fits and small.next and small.next.model == f"{R1}1.5B"
    assert small.next.usable_bytes <= 6.1 * GIB  # the smaller model leaves as much free
    mac = make_plan(named_hardware("mac"), shape(SEVEN), Wishes(spare_bytes=9 * GIB // 2))
    assert mac.fits and mac.context == 8192


def test_no_plan_lowers_the_quality_for_nothing() -> None:
    """A quantised checkpoint is taken only where a rejected better one says why."""
    for name in NAMED:
        plan = plan_for(name, "7B")
        if plan.fits and plan.format in ("fp8", "w4a16", "nf4") and plan.engine == "vllm":
            better = [r for r in plan.rejected if r.what == "vllm, bf16"]
            assert better and "fits too" not in better[0].reason


# flags ----------------------------------------------------------------------------------------


def flag(plan: ServingPlan, name: str) -> str:
    (found,) = (f.value for f in plan.flags if f.name == name)
    return found


def test_the_command_for_a_t4() -> None:
    plan = plan_for("t4", "7B")
    assert plan.checkpoint == "RedHatAI/DeepSeek-R1-Distill-Qwen-7B-quantized.w4a16"
    assert plan.command.startswith(f"vllm serve {plan.checkpoint} --served-model-name {SEVEN} ")
    assert flag(plan, "--dtype") == "half" and flag(plan, "--max-model-len") == "16384"
    assert flag(plan, "--max-num-seqs") == "10"
    assert flag(plan, "--gpu-memory-utilization") == "0.92"
    assert flag(plan, "--reasoning-parser") == "deepseek_r1"
    config = json.loads(flag(plan, "--reasoning-config"))
    assert config["reasoning_end_str"].endswith("</think>")
    assert "--enable-prompt-tokens-details" in plan.arguments
    assert "--quantization" not in plan.arguments  # the checkpoint says it itself
    dtype = next(f for f in plan.flags if f.name == "--dtype")
    assert "7.5 has no bfloat16" in dtype.reason and "!!!!" in dtype.reason
    alone = {f.name: f for f in plan.left_alone}
    assert "TRITON_ATTN" in alone["--attention-backend"].reason
    assert alone["--kv-cache-dtype"].value == "auto" and "8.9" in alone["--kv-cache-dtype"].reason
    assert alone["--enable-prefix-caching"].value == "on"
    said = {r.what: r.reason for r in plan.rejected}
    assert "has no FP8" in said["vllm, fp8"] and "2.6 GiB too much" in said["vllm, bf16"]
    assert "12 tokens a second" in said["transformers, nf4"]


def test_arguments_are_words_for_a_process_and_the_command_is_for_a_shell() -> None:
    import shlex

    plan = plan_for("l4", "7B")
    assert shlex.split(plan.command) == ["vllm", "serve", plan.checkpoint, *plan.arguments]
    tpu = plan_for("v6e-1", "7B")
    assert tpu.command.startswith("TPU_ACCELERATOR_TYPE=v6e-1 TPU_SKIP_MDS_QUERY=1 ")
    assert {v.name for v in plan_for("v5e-1", "1.5B").environment} >= {"TPU_WORKER_HOSTNAMES"}
    assert plan_for("v5e-1", "1.5B").environment[0].value == "v5litepod-1"
    assert plan_for("zerogpu", "7B").command == ""


@pytest.mark.parametrize(
    ("model_id", "parser"),
    [
        (SEVEN, "deepseek_r1"),
        ("Qwen/Qwen3-8B", "qwen3"),
        ("openai/gpt-oss-20b", "openai_gptoss"),
    ],
)
def test_thinking_is_parsed_by_the_model_s_family(model_id: str, parser: str) -> None:
    plan = make_plan(named_hardware("h100"), shape(model_id))
    assert flag(plan, "--reasoning-parser") == parser
    bounded = "--reasoning-config" in plan.arguments
    assert bounded == (parser != "openai_gptoss")


def test_a_model_that_does_not_think_gets_no_parser() -> None:
    plain = shape_from_config(CONFIGS[f"{R1}7B"], "Qwen/Qwen2.5-7B-Instruct", "test")
    plan = make_plan(named_hardware("a100"), plain)
    assert "--reasoning-parser" not in plan.arguments


def test_llama_cpp_and_transformers() -> None:
    cpu = plan_for("cpu", "7B")
    assert cpu.command.startswith(
        "llama-server -hf unsloth/DeepSeek-R1-Distill-Qwen-7B-GGUF:Q4_K_M"
    )
    assert flag(cpu, "--threads") == "2" and flag(cpu, "--cache-ram") == "0"
    assert any("2 to 4 tokens a second" in reason for reason in cpu.reasons)
    mac = plan_for("mac", "7B")
    assert flag(mac, "--n-gpu-layers") == "99" and "--threads" not in mac.arguments
    nf4 = make_plan(named_hardware("t4"), shape(SEVEN), Wishes(engine="transformers"))
    assert (nf4.format, nf4.dtype, nf4.context) == ("nf4", "float16", 16384)
    assert nf4.arguments[-2:] == ["--quantization", "bnb-4bit"]
    assert nf4.download_bytes == 2 * shape(SEVEN).parameters  # it is quantised while loading
    assert nf4.command.endswith(f"-- {SEVEN}")
    large = make_plan(named_hardware("a100-80"), shape(SEVEN), Wishes(engine="transformers"))
    assert large.format == "bf16" and large.dtype == "bfloat16"


# machines that are not as they should be ------------------------------------------------------


def test_a_driver_that_is_too_old_leaves_the_cpu_and_says_so() -> None:
    plan = make_plan(seen("old_driver"), shape(SEVEN))
    assert plan.engine == "llamacpp" and plan.fits
    (why,) = (r.reason for r in plan.rejected if r.what == "NVIDIA L40S")
    assert "535.183.01 is too old" in why and "580" in why
    assert any("The GPU is not used" in reason for reason in plan.reasons)


def change(hardware: Hardware, **gpu: Any) -> Hardware:
    return dataclasses.replace(
        hardware, gpus=tuple(dataclasses.replace(g, **gpu) for g in hardware.gpus)
    )


def test_a_card_before_turing_is_not_used() -> None:
    pascal = change(named_hardware("t4"), name="Tesla P100-PCIE-16GB", capability=6.0)
    plan = make_plan(pascal, shape(SEVEN))
    assert plan.engine == "llamacpp"
    assert any("CUDA 13 begins at 7.5" in r.reason for r in plan.rejected)


def test_windows_has_no_vllm() -> None:
    plan = make_plan(dataclasses.replace(named_hardware("l4"), system="Windows"), shape(SEVEN))
    assert plan.engine == "transformers"
    assert any(r.what == "vllm" and "WSL" in r.reason for r in plan.rejected)


def test_a_card_that_others_use_gets_less() -> None:
    shared = change(named_hardware("l4"), free_bytes=int(14 * GIB))
    plan = make_plan(shared, shape(SEVEN))
    assert flag(plan, "--gpu-memory-utilization") == "0.62"
    assert plan.usable_bytes <= 14 * GIB and plan.context <= plan.kv_tokens
    (why,) = (f.reason for f in plan.flags if f.name == "--gpu-memory-utilization")
    assert "14.0 GiB of 22.0 GiB are free" in why
    full = make_plan(change(named_hardware("l4"), free_bytes=0), shape(SEVEN))
    assert not full.fits and full.shortfall_bytes > 5 * GIB


def test_a_card_whose_memory_nobody_tells() -> None:
    odd = change(seen("no_nvidia_smi"), name="NVIDIA Something", total_bytes=None, free_bytes=None)
    plan = make_plan(odd, shape(SEVEN))
    assert plan.engine == "llamacpp"
    assert any("nvidia-smi is missing" in r.reason for r in plan.rejected)
    spark = change(odd, name="NVIDIA GB10", capability=12.1)  # it shares the main memory
    assert make_plan(spark, shape(SEVEN)).engine == "vllm"


def test_two_cards_hold_together_what_one_can_not() -> None:
    two = seen("kaggle_two_t4")
    assert make_plan(two, shape(SEVEN)).devices == 1
    plan = make_plan(two, shape(f"{R1}32B"))
    assert plan.fits and plan.devices == 2 and plan.device == "2 × Tesla T4"
    assert flag(plan, "--tensor-parallel-size") == "2"
    whole = shape(f"{R1}32B")
    assert plan.kv_bytes_per_token == whole.kv_bytes_per_token() // 2
    busy = dataclasses.replace(
        two, gpus=(two.gpus[0], dataclasses.replace(two.gpus[1], free_bytes=2 * GIB))
    )
    assert not make_plan(busy, whole).fits  # one of them is taken


def test_a_full_disk_is_a_shortfall_of_its_own() -> None:
    t4 = seen("colab_t4")
    small = dataclasses.replace(t4, disk=dataclasses.replace(t4.disk, free_bytes=4 * GIB))
    plan = make_plan(small, shape(SEVEN))
    assert not plan.fits and plan.lacks == "disk" and plan.shortfall_bytes < 2 * GIB
    assert any("HF_HOME" in reason for reason in plan.reasons)
    assert plan.next and plan.next.model == f"{R1}1.5B" and plan.next.fits
    assert make_plan(small, shape(SEVEN), have=lambda repo: True).fits  # no download is needed


def test_when_nothing_fits_only_an_endpoint_is_left() -> None:
    plan = make_plan(seen("container_limits_v2"), shape(SEVEN))
    assert not plan.fits and plan.next is None


# models that are not as published -------------------------------------------------------------


def test_a_model_without_known_checkpoints_is_quantised_while_loading() -> None:
    own = shape_from_config(CONFIGS["Qwen/Qwen3-8B"], "me/my-8B", "test")
    plan = make_plan(named_hardware("l4"), own)
    assert (plan.engine, plan.format, plan.checkpoint) == ("vllm", "fp8", "me/my-8B")
    assert flag(plan, "--quantization") == "fp8_per_channel"
    assert plan.download_bytes == 2 * own.parameters
    t4 = make_plan(named_hardware("t4"), own)
    assert (t4.engine, t4.format) == ("transformers", "nf4")
    assert any("no repository with 4-bit weights" in r.reason for r in t4.rejected)


@pytest.mark.parametrize(
    ("settings", "on", "expected"),
    [
        ({"quant_method": "awq", "bits": 4}, "t4", "vllm w4a16"),
        ({"quant_method": "fp8"}, "l4", "vllm fp8"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "t4", "transformers nf4"),
    ],
)
def test_a_quantised_checkpoint_stays_as_it_is(settings: Any, on: str, expected: str) -> None:
    own = shape_from_config(CONFIGS[SEVEN] | {"quantization_config": settings}, "me/own", "test")
    plan = make_plan(named_hardware(on), own)
    assert f"{plan.engine} {plan.format}" == expected and plan.checkpoint == "me/own"
    assert "--quantization" not in plan.arguments
    assert plan.download_bytes == plan.weight_bytes


def test_gpt_oss_needs_ampere_and_a_server() -> None:
    with pytest.raises(InputError, match="Nothing here can serve openai/gpt-oss-20b"):
        make_plan(named_hardware("zerogpu"), shape("openai/gpt-oss-20b"))
    plan = make_plan(named_hardware("t4"), shape("openai/gpt-oss-20b"))
    assert any("needs compute capability 8.0" in r.reason for r in plan.rejected)
    fits = make_plan(named_hardware("l4"), shape("openai/gpt-oss-20b"))
    assert (fits.engine, fits.format) == ("vllm", "mxfp4") and fits.fits


def test_an_unknown_way_of_quantising_is_one_clear_error() -> None:
    odd = CONFIGS[SEVEN] | {"quantization_config": {"quant_method": "strange"}}
    with pytest.raises(InputError, match="Nothing here can serve me/own") as caught:
        make_plan(named_hardware("l4"), shape_from_config(odd, "me/own", "test"))
    assert "strange" in caught.value.fix and "HEARTH_ENDPOINT_URL" in caught.value.fix


# wishes -----------------------------------------------------------------------------------------


def test_wishes_are_kept() -> None:
    l4 = named_hardware("l4")
    bf16 = make_plan(l4, shape(SEVEN), Wishes(checkpoint="bf16"))
    assert bf16.format == "bf16" and bf16.fits
    long = make_plan(l4, shape(SEVEN), Wishes(context=131_072))
    assert long.context == 131_072 and long.fits and long.kv_tokens >= 131_072
    odd = make_plan(l4, shape(SEVEN), Wishes(context=10_000))
    assert odd.context == 10_000 and flag(odd, "--max-model-len") == "10000"
    never = make_plan(named_hardware("laptop"), shape(SEVEN), Wishes(context=65_536))
    assert not never.fits and never.context == 65_536
    assert never.next and never.next.context == 65_536 and never.next.model == f"{R1}1.5B"
    cpu = make_plan(l4, shape(SEVEN), Wishes(engine="llamacpp"))
    assert cpu.engine == "llamacpp" and cpu.device == "CPU"


@pytest.mark.parametrize(
    ("wishes", "said", "fix"),
    [
        (Wishes(engine="vlm"), "no engine 'vlm'", "vllm"),
        (Wishes(checkpoint="int3"), "no checkpoint format 'int3'", "w4a16"),
        (Wishes(context=200_000), "200,000 tokens can't be", "--context"),
        (Wishes(context=0), "0 tokens can't be", "--context"),
    ],
)
def test_a_wish_that_can_not_be_is_one_clear_error(wishes: Wishes, said: str, fix: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make_plan(named_hardware("l4"), shape(SEVEN), wishes)
    assert said in caught.value.message and fix in caught.value.fix


@pytest.mark.parametrize(
    ("wishes", "fix"),
    [
        (Wishes(engine="vllm"), "vllm needs an NVIDIA GPU"),
        (Wishes(engine="vllm-tpu"), "vllm-tpu needs a TPU"),
        (Wishes(checkpoint="fp8"), "Leave --checkpoint away"),
    ],
)
def test_a_wish_that_this_machine_can_not_grant(wishes: Wishes, fix: str) -> None:
    with pytest.raises(InputError, match="Nothing here can serve") as caught:
        make_plan(named_hardware("cpu"), shape(SEVEN), wishes)
    assert fix in caught.value.fix


def test_an_accelerator_that_nobody_knows() -> None:
    with pytest.raises(InputError, match=r"no accelerator 'h10' for --on. Did you mean h100") as e:
        named_hardware("h10")
    assert all(name in e.value.fix for name in NAMED)
    assert named_hardware(" A100 ").gpus[0].name == "NVIDIA A100-SXM4-40GB"
    assert named_hardware(str(FIXTURES / "colab_l4.json")).gpus[0].name == "NVIDIA L4"
