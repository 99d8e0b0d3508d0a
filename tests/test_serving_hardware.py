"""What is found out about machines: recorded ones, and the one that the tests run on."""

import dataclasses
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from errors import InputError
from serving.hardware import (
    Hardware,
    RecordedMachine,
    Recorder,
    ThisMachine,
    cpu_cores,
    find_accelerator,
    look,
)
from serving.hardware.findings import GIB
from serving.hardware.nvidia import FIELDS, OLD_FIELDS, find_gpus
from serving.hardware.places import find_hub

FIXTURES = Path(__file__).parent / "fixtures" / "hardware"
QUERY = f"nvidia-smi --query-gpu={','.join(FIELDS)} --format=csv,noheader,nounits"
OLD_QUERY = f"nvidia-smi --query-gpu={','.join(OLD_FIELDS)} --format=csv,noheader,nounits"


def notes(name: str) -> dict[str, Any]:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def seen(name: str) -> Hardware:
    return look(RecordedMachine(notes(name)))


def machine(**more: Any) -> RecordedMachine:
    return RecordedMachine({"system": "Linux", "architecture": "x86_64", "cores": 4} | more)


def smi(*lines: str, query: str = QUERY, code: int = 0) -> dict[str, Any]:
    return {query: {"code": code, "out": "".join(line + "\n" for line in lines)}}


# recorded machines ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.json")), ids=lambda p: p.stem)
def test_every_recording_says_where_it_is_from_and_every_finding_why(path: Path) -> None:
    recording = json.loads(path.read_text())
    assert len(recording["about"]) > 40
    rows = look(RecordedMachine.load(path)).findings()
    assert {what for what, *_ in rows} >= {"platform", "GPU", "CPU", "memory", "disk", "hub"}
    assert all(value and reason for _, value, reason in rows)


GPUS = [
    ("colab_t4", "colab", "Tesla T4", 7.5, 14.56, 2, 12.7),
    ("colab_l4", "colab", "NVIDIA L4", 8.9, 22.03, 12, 53.0),
    ("colab_a100_40", "colab", "NVIDIA A100-SXM4-40GB", 8.0, 39.5, 12, 83.5),
    ("colab_a100_80", "colab", "NVIDIA A100-SXM4-80GB", 8.0, 79.25, 12, 167.0),
    ("colab_h100", "colab", "NVIDIA H100 80GB HBM3", 9.0, 79.18, 26, 235.6),
    ("colab_g4", "colab", "NVIDIA RTX PRO 6000 Blackwell Server Edition", 12.0, 94.97, 48, 176.4),
    ("space_l4", "space", "NVIDIA L4", 8.9, 22.03, 8, 30.0),
    ("space_a10g", "space", "NVIDIA A10G", 8.6, 22.05, 4, 15.0),
    ("space_l40s", "space", "NVIDIA L40S", 8.9, 44.39, 8, 62.0),
    ("laptop_rtx_4060", "local", "NVIDIA GeForce RTX 4060 Laptop GPU", 8.9, 7.63, 16, 15.3),
    ("wsl_rtx_4060", "wsl", "NVIDIA GeForce RTX 4060 Laptop GPU", 8.9, 7.63, 16, 7.6),
    ("no_nvidia_smi", "container", "NVIDIA A10G", 8.6, 22.0, 8, 31.3),
    ("old_driver", "local", "NVIDIA L40S", 8.9, 44.39, 32, 250.8),
]


@pytest.mark.parametrize(
    ("name", "place", "card", "capability", "size", "cores", "main"), GPUS, ids=lambda v: str(v)
)
def test_machines_with_a_gpu(
    name: str, place: str, card: str, capability: float, size: float, cores: int, main: float
) -> None:
    found = seen(name)
    (gpu,) = found.gpus
    assert (found.platform.name, gpu.name, gpu.capability) == (place, card, capability)
    assert gpu.total_bytes and gpu.total_bytes / GIB == pytest.approx(size, abs=0.01)
    assert gpu.free_bytes is None or gpu.free_bytes <= gpu.total_bytes + GIB // 100
    assert gpu.driver and found.cpu.cores == cores
    assert found.memory.total_bytes / GIB == pytest.approx(main, abs=0.1)
    assert found.tpu is None and not found.apple


@pytest.mark.parametrize(
    ("name", "kind", "size", "reason"),
    [
        ("colab_v5e_1", "v5e", 15.75, "TPU_ACCELERATOR_TYPE is v5e-1"),
        ("colab_v6e_1", "v6e", 31.25, "1 on the PCI bus"),
    ],
)
def test_tpus(name: str, kind: str, size: float, reason: str) -> None:
    found = seen(name)
    assert found.tpu and (found.tpu.kind, found.tpu.chips) == (kind, 1)
    assert found.tpu.memory_bytes / GIB == size and found.tpu.reason == reason
    assert found.platform.name == "colab" and not found.gpus


def test_a_tpu_by_the_name_that_google_cloud_gives_it() -> None:
    found = look(machine(env={"TPU_ACCELERATOR_TYPE": "v5litepod-4"})).tpu
    assert found and found.name == "TPU v5e-4"
    assert look(machine(env={"TPU_ACCELERATOR_TYPE": "abacus-1"})).tpu is None


def test_spaces_and_what_they_say_of_themselves() -> None:
    zero = seen("space_zerogpu")
    assert zero.platform.name == "zerogpu" and zero.platform.detail == "someone/hearth"
    assert not zero.gpus  # a GPU is there in calls only
    basic = seen("space_cpu_basic")
    assert (basic.platform.name, basic.platform.detail) == ("space", "2 cores, 16Gi")
    assert seen("space_l4").platform.detail == "l4x1, 8 cores, 30Gi"
    told = {"SPACE_ID": "a/b", "CPU_CORES": "2", "MEMORY": "16Gi"}
    files = {"/proc/meminfo": "MemTotal: 99000000 kB\nMemAvailable: 90000000 kB\n"}
    bare = look(machine(env=told, cores=16, files=files))  # where no cgroup file can be read
    assert bare.cpu.cores == 2 and "CPU_CORES=2" in bare.cpu.reason
    assert bare.memory.total_bytes == 16 * GIB and "MEMORY=16Gi" in bare.memory.reason


@pytest.mark.parametrize("value", ["0", "false", "no", ""])
def test_a_switch_that_says_no_is_off(value: str) -> None:
    found = look(machine(env={"SPACES_ZERO_GPU": value, "SPACE_ID": "a/b"}))
    assert found.platform.name == "space"


def test_limits_of_containers() -> None:
    two = seen("container_limits_v2")
    assert two.cpu.cores == 2 and "1.5 cores" in two.cpu.reason
    assert two.memory.total_bytes == 4 * GIB and "memory.max" in two.memory.reason
    assert two.memory.available_bytes == 3 * GIB  # file pages in the cache can be dropped
    one = seen("container_limits_v1")
    assert one.cpu.cores == 2 and one.memory.total_bytes == 8 * GIB
    assert one.memory.available_bytes == 7 * GIB
    deep = seen("systemd_slice")  # the limits are two and three cgroups above the process
    assert deep.cpu.cores == 4 and deep.memory.total_bytes == 12 * GIB
    assert deep.memory.available_bytes == 10 * GIB and deep.cpu.features == ("NEON",)


def test_without_limits_or_with_strange_ones() -> None:
    info = "MemTotal: 8000000 kB\nMemFree: 5000000 kB\n"
    files = {
        "/proc/meminfo": info,
        "/sys/fs/cgroup/cpu.max": "max 100000",
        "/sys/fs/cgroup/memory.max": "max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
    }
    found = look(machine(files=files))
    assert found.cpu.cores == 4 and found.memory.total_bytes == 8_000_000 * 1024
    assert found.memory.available_bytes == 5_000_000 * 1024  # a kernel without MemAvailable
    assert look(machine()).memory.total_bytes == 0  # no /proc at all
    odd = look(machine(files={"/sys/fs/cgroup/cpu.max": "50000 0"}))
    assert odd.cpu.cores == 4
    least = look(machine(files={"/sys/fs/cgroup/cpu.max": "1000 100000"}))
    assert least.cpu.cores == 1


def test_features_of_cpus() -> None:
    assert seen("colab_h100").cpu.features == ("AVX2", "AVX-512", "AVX-512 BF16", "AMX")
    assert seen("laptop_rtx_4060").cpu.features == ("AVX2",)
    assert seen("mac_m2").cpu == dataclasses.replace(
        seen("mac_m2").cpu, name="Apple M2", cores=8, features=("NEON",)
    )


def test_a_mac() -> None:
    found = seen("mac_m2")
    assert found.apple and found.platform.name == "mac" and not found.gpus
    assert found.memory.total_bytes == 16 * GIB and found.memory.available_bytes == 12 * GIB
    silent = look(machine(system="Darwin", architecture="arm64"))
    assert silent.memory.total_bytes == 0 and silent.cpu.name == "a Mac's CPU"


# NVIDIA ---------------------------------------------------------------------------------------


def test_a_card_cut_into_slices_is_its_first_slice() -> None:
    (gpu,) = seen("kubernetes_mig").gpus
    assert gpu.mig == "3g.40gb" and gpu.total_bytes == 40 * 10**9
    assert gpu.free_bytes is None and "MIG slice" in gpu.reason
    named = notes("kubernetes_mig") | {"env": {"CUDA_VISIBLE_DEVICES": "MIG-a28ad590"}}
    (gpu,) = look(RecordedMachine(named)).gpus
    assert gpu.mig == "2g.20gb" and "CUDA_VISIBLE_DEVICES" in gpu.reason


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        ("0", ["a"]),
        ("1,0", ["b", "a"]),
        ("GPU-b", ["b"]),
        ("0,7,1", ["a"]),  # CUDA ignores what follows an index that isn't there
        ("7", []),
        ("", []),
        ("-1", []),
    ],
)
def test_cuda_visible_devices(visible: str, uuids: list[str]) -> None:
    lines = [f"Card {x}, 8.9, 8000, 7000, 100, 580.1, [N/A], GPU-{x}" for x in "ab"]
    gpus, reason = find_gpus(machine(env={"CUDA_VISIBLE_DEVICES": visible}, programs=smi(*lines)))
    assert [gpu.name for gpu in gpus] == [f"Card {x}" for x in uuids]
    assert "CUDA_VISIBLE_DEVICES" in reason


def test_an_old_nvidia_smi_is_asked_for_what_it_knows() -> None:
    programs = smi('Field "compute_cap" is not a valid field to query.', code=2)
    programs |= smi("Tesla T4, 15360, 14910, 470.57.02, GPU-1", query=OLD_QUERY)
    (gpu,), _ = find_gpus(machine(programs=programs))
    assert (gpu.capability, gpu.driver) == (7.5, "470.57.02")  # the capability by its name


def test_what_nvidia_smi_does_not_know_stays_unknown() -> None:
    line = "NVIDIA GB10, 12.1, [N/A], [N/A], [N/A], 580.1, [N/A], GPU-1"
    (gpu,), _ = find_gpus(machine(programs=smi(line)))
    assert gpu.total_bytes is gpu.free_bytes is None and gpu.capability == 12.1


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        (smi("No devices were found", code=6), "finds no GPU: No devices were found"),
        ({QUERY: {"code": None, "err": "it did not answer within 20 seconds"}}, "not answer"),
        ({QUERY: {"code": 9}}, "finds no GPU: 9"),
        (smi(), "finds no GPU: 0"),
        ({}, "no NVIDIA driver"),
    ],
)
def test_why_there_is_no_gpu(programs: dict[str, Any], reason: str) -> None:
    gpus, why = find_gpus(machine(programs=programs))
    assert not gpus and reason in why


def test_a_driver_that_fails_and_an_amd_card() -> None:
    assert "Driver/library version mismatch" in seen("driver_fails").gpu_reason
    amd = look(machine(exists={"/dev/kfd": True}))
    assert not amd.gpus and "an AMD GPU is there" in amd.gpu_reason
    bare = look(machine(files={"/proc/driver/nvidia/version": "NVRM version: odd"}))
    assert [gpu.name for gpu in bare.gpus] == ["an NVIDIA GPU"]


def test_two_cards_are_both_listed() -> None:
    assert [gpu.name for gpu in seen("kaggle_two_t4").gpus] == ["Tesla T4"] * 2
    assert seen("kaggle_two_t4").platform.name == "kaggle"  # though Colab's variables are set


def test_what_torch_will_compute_on() -> None:
    torch = {"packages": {"torch": "2.13.0"}}
    card = find_accelerator(RecordedMachine(notes("colab_t4") | torch))
    assert (card.kind, card.name) == ("cuda", "Tesla T4") and card.capability == 7.5
    assert find_accelerator(RecordedMachine(notes("mac_m2"))).kind == "mps"
    assert find_accelerator(RecordedMachine(notes("space_cpu_basic"))).kind == "cpu"


# the hub and the disk ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_sends_nothing(name: str) -> None:
    class Loud(RecordedMachine):
        def reach(self, url: str, seconds: float) -> str:
            raise AssertionError(f"it asked {url}")

    offline = Loud({"system": "Linux", "architecture": "x", "cores": 1, "env": {name: "1"}})
    hub = find_hub(offline)
    assert hub.reachable is None and name in hub.reason
    assert find_hub(Loud({"system": "Linux", "architecture": "x", "cores": 1}), ask=False) == (
        dataclasses.replace(hub, reason="not asked")
    )


def test_a_hub_that_answers_refuses_or_hangs() -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        assert ThisMachine().reach(f"http://127.0.0.1:{server.server_port}", 5) == ""
    finally:
        server.shutdown()
        server.server_close()
    assert "refused" in ThisMachine().reach(f"http://127.0.0.1:{server.server_port}", 5).lower()
    assert ThisMachine().reach("http://127.0.0.1:9:9/", 5)
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        why = ThisMachine().reach(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.2)
    assert "timed out" in why


def test_where_models_go() -> None:
    def folder(**env: str) -> str:
        return look(machine(env=env, home="/home/me")).disk.folder

    assert folder() == "/home/me/.cache/huggingface/hub"
    assert folder(XDG_CACHE_HOME="/c") == "/c/huggingface/hub"
    assert folder(HF_HOME="/big") == "/big/hub"
    assert folder(HF_HOME="/big", HF_HUB_CACHE="/bigger") == "/bigger"


# recordings, and the machine that the tests run on --------------------------------------------


def test_a_recording_of_this_machine_gives_the_same_findings(tmp_path: Path) -> None:
    recorder = Recorder(ThisMachine())
    live = look(recorder, ask_hub=False)
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(recorder.notes))
    again = look(RecordedMachine.load(path), ask_hub=False)
    assert again == dataclasses.replace(live, memory=again.memory, disk=again.disk, hub=again.hub)
    assert again.memory.total_bytes == live.memory.total_bytes > GIB
    assert live.cpu.cores == cpu_cores() >= 1


def test_a_recording_holds_only_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    recorder = Recorder(ThisMachine())
    look(recorder, ask_hub=False)
    assert "secret" not in json.dumps(recorder.notes) and "HF_TOKEN" not in str(recorder.notes)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"system": "Linux"}', "\x00"])
def test_a_file_that_is_no_recording(text: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(InputError, match="is no recording of a machine") as caught:
        RecordedMachine.load(path)
    assert "--record" in caught.value.fix
    with pytest.raises(InputError):
        RecordedMachine.load(tmp_path / "absent.json")


def test_a_recording_without_an_answer_says_so() -> None:
    with pytest.raises(InputError, match="doesn't say what `nvidia-smi -L` answers"):
        machine(programs=smi("x, 8.0")).run("nvidia-smi", "-L")


def test_asking_this_machine_raises_nothing(tmp_path: Path) -> None:
    here = ThisMachine()
    assert here.read_text(str(tmp_path / "absent")) is None
    assert here.names(str(tmp_path / "absent")) == []
    assert not here.exists(str(tmp_path / "absent"))
    assert here.run("no-such-program-at-all") is None
    assert here.disk_free(str(tmp_path / "a" / "b" / "c")) == here.disk_free(str(tmp_path))
    assert here.package("no-such-package") == "" and here.package("pytest")
    ran = here.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert ran and (ran.code, ran.out, ran.err) == (3, "out\n", "err\n")
