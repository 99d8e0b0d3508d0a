"""When the memory does not suffice: the next smaller plan, taken or offered; causes in logs."""

import dataclasses
from pathlib import Path

import pytest

from agent.build import Hearth
from agent.events import Event, Notice, RunFinished, StepFinished
from errors import EngineError
from serving.causes import explain
from serving.engines import ENGINES, Command, Engine, Plan
from serving.plan import Wishes, make_plan, named_hardware
from serving.plan.known import CONFIGS
from serving.plan.shapes import Shape, shape_from_config
from serving.plan.smaller import other_model, same_model, what_changed
from serving.route import Route
from serving.router import RoutedModel
from serving.smaller import Step
from serving.supervisor import Supervisor
from settings import Settings
from tests.engine_help import make_settings, stub_table

SEVEN = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"


def shape(model: str = SEVEN) -> Shape:
    return shape_from_config(CONFIGS[model], model, "known")


def nothing(_: str) -> bool:
    return False


@pytest.mark.parametrize("device", ["t4", "l4", "a100"])
@pytest.mark.parametrize("main_gib", [12, 2048])  # more main memory changes nothing for a GPU
def test_steps_down_become_smaller_until_none_is_left(device: str, main_gib: int) -> None:
    hardware, wishes, seen = named_hardware(device), Wishes(engine="vllm"), []
    memory = dataclasses.replace(hardware.memory, total_bytes=main_gib << 30)
    hardware = dataclasses.replace(hardware, memory=memory)
    for _ in range(12):
        step = same_model(hardware, shape(), wishes, "memory", have=nothing)
        if step is None:
            break
        wishes, before, after = step
        seen.append(what_changed(before, after))
        assert after.fits and after.usable_bytes < before.usable_bytes
        assert after.kv_tokens < before.kv_tokens or after.weight_bytes < before.weight_bytes
    assert 1 <= len(seen) < 12 and all(seen)
    assert step is None, "it comes to an end"


def test_a_cache_that_does_not_fit_halves_the_context() -> None:
    hardware = named_hardware("l4")
    step = same_model(hardware, shape(), Wishes(engine="vllm"), "cache", have=nothing)
    assert step is not None
    wish, before, after = step
    assert wish.context == after.context == before.context // 2
    assert f"a context of {after.context:,} tokens instead of" in what_changed(before, after)


def test_another_model_is_a_smaller_one_of_the_family() -> None:
    hardware = named_hardware("t4")
    plan = other_model(hardware, shape(), Wishes(engine="vllm"), have=nothing)
    assert plan is not None and plan.model == "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"
    before = make_plan(hardware, shape(), Wishes(engine="vllm"))
    assert what_changed(before, plan) == f"the model {plan.model} instead of {SEVEN}"


def table(needs: int, well: str = "", fault: str = "exit") -> dict[str, Engine]:
    """An engine that runs out of memory unless its context is at most `needs`; `well` and `fault`
    are what the stub does then and otherwise."""
    row = stub_table(well)["transformers"]
    failing = stub_table(fault)["transformers"]
    assert row.plan is not None

    def plan(settings: Settings) -> Plan:
        assert row.plan is not None
        return dataclasses.replace(
            row.plan(settings), arguments=(str(settings.engine_context or 32_768),)
        )

    def command(plan: Plan, port: int, key: str) -> Command:
        chosen = row if int(plan.arguments[0]) <= needs else failing
        assert chosen.command is not None
        return chosen.command(plan, port, key)

    return {
        "transformers": dataclasses.replace(ENGINES["transformers"], plan=plan, command=command)
    }


def halve(settings: Settings, engine: str, kind: str) -> Step:
    assert (engine, kind) == ("transformers", "memory")
    context = (settings.engine_context or 32_768) // 2
    return Step({"engine_context": context}, f"a context of {context:,} tokens", same_model=True)


def switch(settings: Settings, engine: str, kind: str) -> Step:
    return Step({"model": "org/small"}, "the model org/small", same_model=False)


def test_smaller_plans_are_taken_until_one_fits(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.starter.next_step", halve)
    said: list[str] = []
    supervisor = Supervisor(
        make_settings(toy, tmp_path), on_progress=said.append, engines=table(needs=8192)
    )
    with supervisor as endpoint:
        assert "a context of 16,384 tokens; a context of 8,192 tokens" in endpoint.notice
    told = [line for line in said if "Trying" in line]
    assert len(told) == 2 and "the GPU has too little memory" in told[0]
    assert "HEARTH_ENGINE_CONTEXT=16384" in told[0]


@pytest.mark.parametrize(
    ("how", "step", "offered"),
    [("never", halve, "HEARTH_ENGINE_CONTEXT=16384"), ("same", switch, "HEARTH_MODEL=org/small")],
)
def test_what_is_not_taken_is_offered(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, step: object, offered: str
) -> None:
    monkeypatch.setattr("serving.starter.next_step", step)
    settings = make_settings(toy, tmp_path, engine_smaller=how)
    with pytest.raises(EngineError, match="too little memory") as caught:
        Supervisor(settings, engines=table(needs=1)).start()
    assert offered in caught.value.fix


def counting(toy: Path, data: Path, how: str) -> list[Event]:
    """The events of a run whose engine runs out of memory in its second step."""
    settings = make_settings(
        toy, data, engine_smaller=how, route="main", family="r1-distill", max_steps=6
    )
    route = Route(settings, engines=table(needs=16_384, well="steps:3", fault="memory:3"))
    try:
        route.start()
        model = RoutedModel(route)
        session = Hearth(settings).new_session(model=model)
        try:
            return list(session.run("count to three, please"))
        finally:
            session.close()
            model.close()
    finally:
        route.stop()


def test_a_run_goes_on_with_a_smaller_plan_and_says_so(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.starter.next_step", halve)
    events = counting(toy, tmp_path, "any")
    assert isinstance(events[-1], RunFinished) and events[-1].answer == "3", events[-1]
    assert [e.step for e in events if isinstance(e, StepFinished)] == [1, 2, 3, 4]
    told = [e.text for e in events if isinstance(e, Notice) and "memory" in e.text]
    assert told == ["The memory did not suffice, so it runs with a context of 16,384 tokens."], (
        "once, and of one step down"
    )


@pytest.mark.parametrize(("how", "step"), [("never", halve), ("any", switch)])
def test_a_run_whose_engine_may_not_be_smaller_ends_with_the_offer(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, step: object
) -> None:
    monkeypatch.setattr("serving.starter.next_step", step)
    *_, last = counting(toy, tmp_path, how)
    assert isinstance(last, RunFinished) and last.status == "failed"
    assert "died: the GPU has too little memory" in last.error
    assert ("HEARTH_ENGINE_CONTEXT=16384" if how == "never" else "HEARTH_MODEL=org/small") in (
        last.fix
    )


def test_it_gives_up_after_a_few_steps(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.starter.next_step", halve)
    with pytest.raises(EngineError, match="too little memory"):
        Supervisor(make_settings(toy, tmp_path), engines=table(needs=1)).start()


@pytest.mark.parametrize(
    ("log", "kind", "said"),
    [
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 130.00 MiB. GPU 0 has a "
            "total capacity of 14.56 GiB of which 64.81 MiB is free.",
            "memory",
            "the GPU has too little memory",
        ),
        (
            "ValueError: Free memory on device cuda:0 (9.01/14.56 GiB) on startup is less than "
            "desired GPU memory utilization (0.92, 13.4 GiB). Decrease GPU memory utilization",
            "memory",
            "something else uses the GPU",
        ),
        (
            "ValueError: To serve at least one request with the models's max seq len (32768), "
            "(1.75 GiB KV cache is needed, which is larger than the available KV cache memory "
            "(0.9 GiB).",
            "cache",
            "not the cache for one conversation",
        ),
        (
            "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: "
            "can't allocate memory: you tried to allocate 2147483648 bytes.",
            "memory",
            "this machine has too little memory",
        ),
        (  # these two: transformers 5.23 under `prlimit --as`, as seen
            "RuntimeError: unable to mmap 1846367416 bytes from file\n"
            "<big/model.safetensors>: Cannot allocate memory (12)",
            "memory",
            "this machine has too little memory",
        ),
        (
            "MemoryError: Cannot allocate memory (os error 12)",
            "memory",
            "this machine has too little memory",
        ),
        (
            "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer",
            "memory",
            "memory",
        ),
        (
            "safetensors_rust.SafetensorError: Error while deserializing header: "
            "incomplete metadata, file not fully covered",
            "damaged",
            "files are damaged",
        ),
        (
            "llama_model_load: error loading model: tensor 'blk.20.ffn_up.weight' data is not "
            "within the file bounds, model is corrupted or incomplete",
            "damaged",
            "files are damaged",
        ),
        (
            "RuntimeError: The NVIDIA driver on your system is too old (found version 12040). "
            "Please update your GPU driver",
            "",
            "CUDA, its driver and torch",
        ),
        (
            "ImportError: libcudart.so.13: cannot open shared object file: No such file",
            "",
            "CUDA, its driver and torch",
        ),
        ("OSError: [Errno 28] No space left on device", "", "the disk is full"),
        (
            "[Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address "
            "already in use",
            "",
            "its port was taken",
        ),
        ("start: couldn't bind HTTP server socket, hostname: 127.0.0.1", "", "its port was taken"),
        (
            "huggingface_hub.errors.GatedRepoError: 403 Client Error. Cannot access gated repo",
            "",
            "the model is gated",
        ),
        (
            "ValueError: Model architectures ['BertModel'] are not supported for now.",
            "",
            "does not know this architecture",
        ),
        ("error loading model: unknown model architecture: 'foo'", "", "does not know this"),
    ],
)
def test_causes_in_logs(log: str, kind: str, said: str) -> None:
    cause = explain(f"INFO starting\n{log}\nINFO ended\n", 1)
    assert said in cause.what and cause.kind == kind and cause.fix


def test_a_killed_engine_most_often_lacked_memory() -> None:
    assert explain("", -9).kind == "killed" and explain("", 1).kind == ""
