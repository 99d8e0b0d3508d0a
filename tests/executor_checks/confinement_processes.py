"""Items 33 to 48: no new process, and no hand on any that is there.

Where a refusal that failed would hurt this machine, the call is made with arguments that do no
harm: signal 0 and SIGCONT for what must live, wrong magic numbers, descriptors that are not
there. The kernel looks at rights first, so a refusal is told from a call that got through.
"""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil

from tests.executor_checks import limits
from tests.executor_checks.place import Place, is_root
from tests.executor_checks.syscalls import made, number

ROOT = Path(__file__).resolve().parent.parent.parent


def check_033_every_fork_is_refused(place: Place) -> None:
    count = 1 if place.control else 100
    setup = (
        "def child(pid):\n    if pid < 0:\n        raise OSError(ctypes.get_errno(), 'fork')\n"
        "    if pid == 0:\n        os._exit(0)\n    os.waitpid(pid, 0)\n"
    )
    attempts = {f"fork {n}": "child(os.fork())" for n in range(count)}
    # What stands in front of the C library in Python may say no before the system is asked.
    attempts |= {f"C library {n}": "child(_libc.fork())" for n in range(count)}
    if number("fork") is not None:
        attempts |= {f"raw {n}": f"child({made('fork')})" for n in range(count)}
    place.refused(attempts, setup=setup)


def check_034_programs_are_not_started(place: Place) -> None:
    marker = place.folder / "started"
    touch = f"['/usr/bin/touch', {str(marker)!r}]"
    attempts = {
        "subprocess": f"subprocess.run({touch}, check=True)",
        "shell": f"subprocess.run('touch {marker}', shell=True, check=True)",
        "os.system": f"zero(os.system('touch {marker}'))",
        "posix_spawn": f"ended(os.posix_spawn('/usr/bin/touch', {touch}, {{}}))",
        "os.popen": f"zero(os.popen('touch {marker}').close() or 0)",
        "pty": "forked(__import__('pty').fork())",
        "C library": f"zero(_libc.system(b'touch {marker}'))",
        "C library spawn": "zero(_libc.posix_spawn(room, b'/usr/bin/touch', 0, 0, command, 0))",
        "executor": "concurrent.futures.ProcessPoolExecutor(1).submit(abs, 1).result(5)",
    }
    setup = (
        "import subprocess, concurrent.futures\nroom = ctypes.create_string_buffer(8)\n"
        f"command = (ctypes.c_char_p * 3)(b'/usr/bin/touch', {str(marker).encode()!r}, None)\n"
        "def zero(code):\n    if code:\n        raise OSError(errno.EPERM, str(code))\n"
        "def ended(pid):\n    os.waitpid(pid, 0)\n"
        "def forked(both):\n    if both[0] == 0:\n        os._exit(0)\n    os.waitpid(both[0], 0)\n"
    )
    began = time.monotonic()
    also = {"ENOENT", "ENOSYS", "OSError out of pty devices"}
    place.refused(attempts, setup=setup, also=also, unshown={"executor"})
    assert time.monotonic() - began < 10
    assert marker.exists() is place.control
    if place.control:
        marker.unlink()
        place.drop()


def check_035_replacing_the_program_is_refused(place: Place) -> None:
    if place.control:  # it is replaced, and so ends
        text = place.text_of("import os\nos.execv('/bin/sh', ['sh', '-c', 'exit 7'])", "limit")
        assert "exit code 7" in text
        place.refused({"memfd": "os.close(os.memfd_create('x'))"})
        return
    attempts = {
        "execv": "os.execv('/bin/true', ['true'])",
        "itself": "os.execv(sys.executable, [sys.executable, '-c', '1'])",
        "execveat": made("execveat", "-100, b'/bin/true', 0, 0, 0"),
        "execveat by descriptor": made("execveat", "0, b'', 0, 0, 0x1000"),
        "memfd": "os.close(os.memfd_create('x'))",
        "raw memfd": made("memfd_create", "b'x', 0"),
        "raw execve": made("execve", "b'/bin/true', 0, 0"),
        "secret memory": made("memfd_secret", "0"),
    }
    place.refused(attempts, also={"ENOSYS"})


def check_036_raw_calls_that_make_processes_are_refused(place: Place) -> None:
    attempts = {
        "clone": f"child({made('clone', '17, 0, 0, 0, 0')})",
        "clone with a new user": made("clone", f"{0x10000000 | 17}, 0, 0, 0, 0"),
        "clone3": made("clone3", "0, 0"),
        "unshare": made("unshare", "0x00020000"),
        "unshare user": made("unshare", "0x10000000"),
        "setns": made("setns", "-1, 0"),
        "vfork": made("vfork"),
    }
    if place.control:
        # vfork and a clone into new namespaces have no control: in this process the child would
        # run on the parent's stack.
        del attempts["vfork"], attempts["clone with a new user"]
    setup = "def child(pid):\n    if pid == 0:\n        os._exit(0)\n    os.waitpid(pid, 0)\n"
    unshown = () if is_root() else {"unshare"}
    also = () if place.control else {"ENOSYS"}
    place.refused(attempts, setup=setup, reaches=True, also=also, unshown=unshown)
    if number("vfork") is not None and not place.control:
        # The other tables of an x86-64 kernel: the x32 calls, and the 32-bit ones by int 0x80.
        place.refused({"x32 fork": f"syscall({0x40000000 | 57})"}, also={"ENOSYS"})
        if place.lacks("import ctypes"):
            return
        try:
            found = place.outcomes({"i386": "i386_getpid()"}, _I386)["i386"]
        except AssertionError as error:  # the process was ended for it: as good
            found = str(error)
        assert found in ("EPERM", "ENOSYS") or "Bad system call" in found, found


# mov eax, 20 (getpid in the table of i386); int 0x80; ret
_I386 = """
import mmap
def i386_getpid():
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3]))
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    if result < 0:
        raise OSError(-result, 'refused')
"""


def check_037_a_pool_of_processes_fails_quickly(place: Place) -> None:
    code = (
        "import multiprocessing\nwith multiprocessing.Pool(2) as pool:\n"
        "    found = pool.map(abs, [-1, -2])\nfound"
    )
    if place.control:
        assert place.executor(code).output == [1, 2]
        place.drop()
        return
    began = time.monotonic()
    text = place.text_of(code)
    assert time.monotonic() - began < 5
    assert place.restricted or "Error" in text


def check_038_signals_reach_nobody_else(place: Place) -> None:
    host, victim = os.getpid(), place.victim()
    harmless = int(signal.SIGCONT)
    attempts = {
        "host 0": f"os.kill({host}, 0)",
        "victim 0": f"os.kill({victim.pid}, 0)",
        "everybody 0": "os.kill(-1, 0)",
        "own group 0": "os.kill(0, 0)",
        "parent 0": "os.kill(os.getppid(), 0)",
        "first 0": "os.kill(1, 0)",
        "killpg 0": f"os.killpg({os.getpgid(victim.pid)}, 0)",
        "tkill": made("tkill", f"{victim.pid}, {harmless}"),
        "tgkill": made("tgkill", f"{victim.pid}, {victim.pid}, {harmless}"),
        "sigqueue": made("rt_sigqueueinfo", f"{victim.pid}, {harmless}, queued"),
        "tgsigqueue": made("rt_tgsigqueueinfo", f"{victim.pid}, {victim.pid}, {harmless}, queued"),
        "pidfd": made("pidfd_send_signal", f"os.pidfd_open({victim.pid}), {harmless}, 0, 0"),
    }
    # struct siginfo with si_code SI_QUEUE: what one process may queue for another
    setup = "queued = ctypes.create_string_buffer(bytes(8) + b'\\xff' * 4 + bytes(116))\n"
    own_uid = set() if is_root() else {"first 0"}
    place.refused(attempts, setup=setup, unshown=own_uid)
    if not place.control:
        # Signal 0 was refused to everybody: now those that would be felt.
        attempts = {
            "host": f"os.kill({host}, {harmless})",
            "own group": f"os.kill(0, {harmless})",
            "everybody": f"os.kill(-1, {harmless})",
            "victim": f"os.kill({victim.pid}, 9)",
            "victim's group": f"os.killpg({os.getpgid(host)}, {harmless})",
            "raw": made("tkill", f"{victim.pid}, 9"),
        }
        place.refused(attempts)
    assert victim.poll() is None


def check_039_other_processes_are_not_looked_into(place: Place) -> None:
    victim, host = place.victim(), os.getpid()
    seize = 0x4206  # attaches without stopping
    attempts = {
        "ptrace": made("ptrace", f"{seize}, {victim.pid}, 0, 0"),
        "process_vm_readv": made("process_vm_readv", f"{victim.pid}, vec, 1, vec, 1, 0"),
        "process_vm_writev": made("process_vm_writev", f"{victim.pid}, vec, 1, vec, 1, 0"),
        "kcmp": made("kcmp", f"os.getpid(), {victim.pid}, 1, 0, 0"),
        "pidfd_open": f"os.close(os.pidfd_open({victim.pid}))",
        "pidfd_getfd": made("pidfd_getfd", f"os.pidfd_open({victim.pid}), 0, 0"),
        "host ptrace": made("ptrace", f"{seize}, {host}, 0, 0"),
        "host process_vm_readv": made("process_vm_readv", f"{host}, vec, 1, vec, 1, 0"),
        "traceme": made("ptrace", "0, 0, 0, 0"),
    }
    if place.control:  # not on the process that runs this
        attempts = {name: a for name, a in attempts.items() if "host" not in name}
    setup = "vec = (ctypes.c_ulong * 2)(ctypes.addressof(ctypes.create_string_buffer(8)), 8)\n"
    # Yama lets a process be traced by its parents only, and without rights the kernel says no.
    unshown = () if is_root() else set(attempts) - {"pidfd_open", "traceme"}
    place.refused(attempts, setup=setup, reaches=True, unshown=unshown)
    assert victim.poll() is None
    place.drop()


def check_040_its_own_bounds_are_not_lifted(place: Place) -> None:
    attempts = {
        "memory": "raised(resource.RLIMIT_AS)",
        "file size": "raised(resource.RLIMIT_FSIZE)",
        "open files": "raised(resource.RLIMIT_NOFILE)",
        "setuid": "changed(lambda: os.setuid(0))",
        "setresuid": "changed(lambda: os.setresuid(0, 0, 0))",
        "setgid": "changed(lambda: os.setgid(0))",
        "setgroups": "os.setgroups([0])",
        "dumpable": "prctl(4, 1)",
        "parent's death": "prctl(1, 0)",
        "subreaper": "prctl(36, 0)",
        "seccomp": "prctl(22, 2, 0)",
        "raw seccomp": made("seccomp", "1, 0, 0"),
        "setsid": "os.setsid()",
        "process group": "os.setpgid(0, 0)",
    }
    setup = (
        "import resource\n_prctl = _libc.prctl\n"
        "def prctl(*a):\n"
        "    if _prctl(*[ctypes.c_ulong(x) for x in (*a, 0, 0, 0, 0)[:5]]) < 0:\n"
        "        raise OSError(ctypes.get_errno(), 'prctl')\n"
        "def raised(which):\n"
        "    resource.setrlimit(which, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "def changed(act):\n"
        "    act()\n    if os.getuid() != 0:\n        raise OSError(errno.EPERM, 'no change')\n"
    )
    if place.control:
        wanted = {"dumpable", "subreaper", "parent's death"}
        if is_root():
            wanted |= {"memory", "file size", "setuid", "setgroups"}
        place.refused({name: attempts[name] for name in wanted}, setup=setup)
    else:
        for name, got in place.outcomes(attempts, setup).items():
            # Python says that a limit can't be raised with a ValueError.
            assert got in ("EPERM", "EACCES", "EFAULT") or "not allowed" in got, (name, got)
    place.drop()


def check_041_limits_and_priorities_of_others_stay(place: Place) -> None:
    victim = place.victim()
    seen = psutil.Process(victim.pid)
    before = (seen.nice(), seen.rlimit(psutil.RLIMIT_NOFILE), tuple(seen.cpu_affinity()))
    attempts = {
        "prlimit": made("prlimit64", f"{victim.pid}, 7, lower, 0"),
        "read prlimit": made("prlimit64", f"{victim.pid}, 7, 0, room"),
        "host's limit": made("prlimit64", f"{os.getpid()}, 7, 0, room"),
        "parent's limit": made("prlimit64", "os.getppid() or 1, 7, 0, room"),
        "priority": f"os.setpriority(os.PRIO_PROCESS, {victim.pid}, 19)",
        "affinity": f"os.sched_setaffinity({victim.pid}, [0])",
        "scheduler": f"os.sched_setscheduler({victim.pid}, os.SCHED_BATCH, os.sched_param(0))",
        "io priority": made("ioprio_set", f"1, {victim.pid}, {(3 << 13) | 7}"),
    }
    setup = "lower = (ctypes.c_ulong * 2)(64, 64)\nroom = (ctypes.c_ulong * 2)()\n"
    place.refused(attempts, setup=setup)
    after = (seen.nice(), seen.rlimit(psutil.RLIMIT_NOFILE), tuple(seen.cpu_affinity()))
    assert (before != after) is place.control
    if place.control:
        victim.kill()


def check_042_signals_by_way_of_a_descriptor_are_refused(place: Place) -> None:
    attempts = {
        "F_SETOWN": f"fcntl.fcntl(pipe[0], fcntl.F_SETOWN, {place.victim().pid})",
        "F_SETOWN host": f"fcntl.fcntl(pipe[0], fcntl.F_SETOWN, {os.getpid()})",
        "F_SETSIG": "fcntl.fcntl(pipe[0], 10, 12)",
        "F_SETOWN_EX": f"fcntl.fcntl(pipe[0], 15, struct.pack('ii', 1, {place.victim().pid}))",
        "FIOASYNC": "fcntl.ioctl(pipe[0], 0x5452, struct.pack('i', 1))",
        "lease": "fcntl.fcntl(open('leased', 'w'), 1024, fcntl.F_WRLCK)",
        "notify": "fcntl.fcntl(os.open('.', os.O_RDONLY), 1026, 2)",
    }
    setup = "import fcntl, struct\npipe = os.pipe()\n"
    place.refused(attempts, setup=setup, unshown={"lease", "FIOASYNC"})
    assert place.victim().poll() is None


def check_043_a_flood_of_threads_is_bounded(place: Place) -> None:
    """No control: unbounded, it would be this machine that is short of threads."""
    if place.control or place.restricted:
        return
    executor = place.make(timeout_seconds=8)
    before = psutil.Process().num_threads()
    code = (
        "import threading, time\nthreading.stack_size(64 * 1024)\nstarted = 0\n"
        "stop = threading.Event()\n"
        "try:\n    for _ in range(20_000):\n"
        "        threading.Thread(target=stop.wait, daemon=True).start()\n"
        "        started += 1\nexcept (RuntimeError, MemoryError) as error:\n    print(error)\n"
        "finally:\n    stop.set()\nstarted"
    )
    try:
        started = executor(code).output
        assert started < 20_000, "20,000 threads were started"
    except Exception as error:  # noqa: BLE001 - killed for it: as good
        assert type(error).__name__ == "CodeError" and "Variables are gone" in str(error)
    assert psutil.Process().num_threads() <= before + 2
    assert executor("1 + 1").output == 2
    executor.cleanup()


def check_044_administrators_calls_are_refused(place: Place) -> None:
    attempts = {
        "bpf": made("bpf", "99, 0, 0"),
        "perf": made("perf_event_open", "0, 0, -1, -1, 0"),
        "userfaultfd": made("userfaultfd", "0xffff"),
        "keyctl": made("keyctl", "99, 0, 0, 0, 0"),
        "add_key": made("add_key", "b'hearth-none', b'x', 0, 0, -3"),
        "request_key": made("request_key", "b'hearth-none', b'x', 0, -3"),
        "init_module": made("init_module", "0, 0, 0"),
        "finit_module": made("finit_module", "-1, b'', 0"),
        "delete_module": made("delete_module", "0, 0"),
        "kexec": made("kexec_load", "0, 99, 0, 0xffffffff"),
        "reboot": made("reboot", "1, 2, 3, 0"),
        "swapon": made("swapon", "b'/hearth-no-such-file', 0"),
        "swapoff": made("swapoff", "b'/hearth-no-such-file'"),
        "syslog": made("syslog", "99, 0, 0"),
        "acct": made("acct", "b'/hearth-no-such-file'"),
        "clock": made("settimeofday", "0, 1"),
        "hostname": made("sethostname", "0, 5"),
        "personality": made("personality", "0xffffffff"),
        "shared memory": made("shmget", "0x48454152, 4096, 0"),
        "message queue": made("msgget", "0x48454152, 0"),
        "semaphores": made("semget", "0x48454152, 1, 0"),
        "posix queue": made("mq_open", "b'hearth', 0, 0, 0"),
        "splice": made("splice", "-1, 0, -1, 0, 1, 0"),
        "vmsplice": made("vmsplice", "-1, 0, 0, 0"),
    }
    # Not every kernel has every one, and most ask for rights first.
    everywhere = {"personality", "posix queue", "splice", "vmsplice", "shared memory"}
    everywhere |= {"message queue", "semaphores"}
    rooted = {"reboot", "swapon", "swapoff", "syslog", "hostname"} if is_root() else set()
    rooted |= {"keyctl", "add_key", "request_key"} if is_root() else set()
    unshown = set(attempts) - everywhere - rooted
    also = () if place.control else {"ENOSYS"}
    place.refused(attempts, reaches=True, unshown=unshown, also=also)


def check_045_a_process_that_stops_itself_is_replaced(place: Place) -> None:
    if place.restricted:
        return  # no signals in its language
    executor = place.make(timeout_seconds=0.4)
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"
    text = place.text_of(code, "timeout", executor)
    assert "had to be killed" in text and executor("1 + 1").output == 2
    executor.cleanup()


def check_046_a_process_that_ends_itself_is_replaced(place: Place) -> None:
    if place.restricted:
        return  # nothing in its language ends the process
    limits.check_worker_death(place.make)


def check_047_exit_and_interrupt_are_only_errors(place: Place) -> None:
    executor = place.executor
    executor("kept = 'yes'")
    if place.real_python:
        assert "SystemExit" in place.text_of("import sys\nsys.exit(3)")
        assert "KeyboardInterrupt" in place.text_of("raise KeyboardInterrupt")
    else:
        place.text_of("raise ValueError('x')")
    assert executor("kept").output == "yes"


def check_048_the_sandbox_ends_with_a_killed_app(place: Place) -> None:
    workspace = place.folder / "orphaned"
    code = "while True:\n    pass" if place.restricted else "sum(range(10**13))"
    app = textwrap.dedent(f"""
        import sys, threading, time
        from pathlib import Path
        from sandbox.executor import SandboxExecutor
        executor = SandboxExecutor(Path({str(workspace)!r}), confine={place.tier!r})
        executor("waiting = 1")
        print(executor.pid, flush=True)
        threading.Thread(target=executor, args=({code!r},), daemon=True).start()
        time.sleep(1000)
    """)
    command = [sys.executable, "-c", app]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        int(process.stdout.readline())
        time.sleep(0.3)
        family = psutil.Process(process.pid).children(recursive=True)
        assert family
        process.send_signal(signal.SIGKILL)
        process.wait()
    _, alive = psutil.wait_procs(family, timeout=5)
    for each in alive:
        each.kill()
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE], alive
