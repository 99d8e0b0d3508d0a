"""Items 67 to 71: what code can find out about the app and the machine from where it runs."""

import os
import stat

from tests.executor_checks.place import Place, environment

PROCESS_LIST = "list of running processes"


def check_067_no_secret_is_in_the_environment(place: Place) -> None:
    with environment(
        HF_TOKEN=place.canary, OPENAI_API_KEY=place.canary, HEARTH_API_KEY=place.canary
    ):
        executor = place.make()
        if place.restricted:
            place.text_of("import os\nopen('x')", executor=executor)
            return
        code = (
            "import ctypes, os\n"
            "block = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), 'environ')\n"
            "raw, at = [], 0\n"
            "while block[at]:\n    raw.append(block[at].decode()); at += 1\n"
            "[dict(os.environ), raw]"
        )
        assert place.canary not in str(executor(code).output)
        # The control: the variables were there for whoever is handed the app's environment.
        assert place.canary in str(dict(os.environ))
    executor.cleanup()


def check_068_proc_and_sys_tell_nothing_of_others(place: Place) -> None:
    host = os.getpid()
    names = ["environ", "cmdline", "maps", "mem", "status", "stat", "auxv", "io", "limits"]
    files = [f"/proc/{host}/{name}" for name in names]
    files += ["/proc/1/cmdline", "/proc/1/environ", "/proc/self/mem", "/proc/self/environ",
              "/proc/self/mountinfo", "/proc/net/tcp", "/proc/version", "/proc/cmdline",
              "/proc/mounts", "/proc/kallsyms", "/sys/kernel/notes", "/sys/class/net",
              "/proc/self/cgroup"]  # fmt: skip
    attempts = {name: f"os.read(os.open({name!r}, os.O_RDONLY), 1)" for name in files}
    attempts |= {
        f"list {name}": f"os.listdir({name!r})"
        for name in ("/proc", f"/proc/{host}/fd", "/proc/self/fd", "/sys", "/sys/fs/cgroup", "/run")
    }
    if place.control:
        wanted = (f"/proc/{host}/environ", f"/proc/{host}/maps", "list /proc", "list /sys")
        place.refused({name: attempts[name] for name in wanted})
        return
    private = {"environ", "maps", "mem", "auxv", "io"}
    if place.leaves_open(PROCESS_LIST):  # but not what only their owner may see
        attempts = {
            name: code
            for name, code in attempts.items()
            if name.startswith(f"/proc/{host}/") and name.rpartition("/")[2] in private
        }
    if place.hides:  # its own /proc, if it has one, knows its own processes only
        found = place.outcomes(attempts)
        assert all(found[name] != "done" for name in files if f"/{host}/" in name), found
        return
    place.refused(attempts, also={"ENOENT", "EISDIR"})


def check_069_keys_and_tokens_in_usual_places_are_refused(place: Place) -> None:
    home = place.outside
    planted = [".netrc", ".ssh/id_ed25519", ".cache/huggingface/token", ".aws/credentials",
               ".config/gh/hosts.yml", ".git-credentials", "hearth.db"]  # fmt: skip
    for name in planted:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(place.canary)
        (home / name).chmod(0o600)
    attempts = {name: f"open({str(home / name)!r}).read()" for name in planted}
    attempts["neighbour's .env"] = f"open({str(home / '.env')!r}).read()"
    attempts["shadow"] = "open('/etc/shadow').read()"
    attempts["service account"] = (
        "open('/var/run/secrets/kubernetes.io/serviceaccount/token').read()"
    )
    attempts["root's keys"] = "os.listdir('/root/.ssh')"
    not_ours = {"neighbour's .env", "shadow", "service account", "root's keys"}
    try:
        place.refused(attempts, unshown=not_ours, also={"ENOENT"})
        if not place.control:
            found = place.outcomes({name: attempts[name] for name in planted})
            allowed = {"EACCES", "EPERM"} | ({"ENOENT"} if place.hides else set())
            assert set(found.values()) <= allowed, found
    finally:
        place.restore()


def check_070_only_its_own_pipes_are_open(place: Place) -> None:
    if place.restricted:
        return  # no descriptors in its language
    other = place.make()
    other("1")  # whose pipes must not be inherited
    executor = place.make()
    code = (
        "import os\nfound = []\nfor fd in range(4096):\n    try:\n"
        "        found.append((fd, os.fstat(fd).st_mode))\n    except OSError:\n        pass\nfound"
    )
    found = dict(executor(code).output)
    assert len(found) <= 6, found
    for descriptor, mode in found.items():
        kind = stat.S_IFMT(mode)
        assert kind in (stat.S_IFIFO, stat.S_IFCHR), (descriptor, oct(mode))
    assert sum(stat.S_ISCHR(mode) for mode in found.values()) <= 1  # /dev/null
    other.cleanup()
    executor.cleanup()


def check_071_nothing_secret_is_in_the_workers_memory(place: Place) -> None:
    with environment(HF_TOKEN=place.canary):
        executor = place.make()
        if place.restricted:
            place.text_of("import gc", executor=executor)
            return
        turned = place.canary[::-1]  # so that the search doesn't find itself
        code = (
            f"wanted = {turned!r}\n"
            "import gc, sys\n"
            "def texts(value, depth=3):\n"
            "    if isinstance(value, (str, bytes)):\n        yield value\n"
            "    elif depth and isinstance(value, dict):\n"
            "        for pair in list(value.items()):\n"
            "            for each in pair:\n                yield from texts(each, depth - 1)\n"
            "    elif depth and isinstance(value, (list, tuple, set, frozenset)):\n"
            "        for each in list(value):\n            yield from texts(each, depth - 1)\n"
            "seen, found = 0, 0\n"
            "frames = [f.f_locals for f in sys._current_frames().values()]\n"
            "for text in texts(frames + gc.get_objects(), 3):\n"
            "    seen += 1\n"
            "    plain = text if isinstance(text, str) else text.decode('latin-1')\n"
            "    found += wanted[::-1] in plain\n"
            "    if seen > 400_000:\n        break\n"
            "own = 'kept ' + wanted[::-1]\n"
            "control = sum(wanted[::-1] in t for t in texts(globals(), 1) if isinstance(t, str))\n"
            "del own\nseen, found, control"
        )
        seen, found, control = executor(code).output
        assert seen > 1000 and found == 0 and control == 1  # what is there, it would find
    executor.cleanup()
