"""Packages for one session: from wheels that the tests make, never from a network."""

import hashlib
import http.server
import io
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from errors import Cancelled, CodeError, InputError, PackageError
from sandbox import known_packages
from sandbox.executor import SandboxExecutor
from sandbox.install import Packages, parse_allowed
from tests.wheels import make_wheel, use_folder

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip takes for the whole index."""
    return use_folder(tmp_path / "index", monkeypatch)


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    made = Packages(tmp_path / "session" / "packages")
    made.prepare()
    return made


def left_over(packages: Packages) -> list[str]:
    """What lies in and beside the session's folder."""
    inside = [entry.name for entry in packages.folder.iterdir()] if packages.folder.exists() else []
    beside = [e.name for e in packages.folder.parent.iterdir() if e != packages.folder]
    return sorted(inside + beside)


def test_a_package_comes_while_the_session_runs(
    index: Path, packages: Packages, tmp_path: Path
) -> None:
    make_wheel(index, "seaborn", {"seaborn/__init__.py": "PALETTE = 'deep'\n"}, requires="numpy")
    executor = SandboxExecutor(tmp_path / "w", packages=packages.folder)
    asked: list[str] = []
    executor.on_missing = lambda module: asked.append(module) or "The user is asked."
    try:
        executor("x = 5")
        with pytest.raises(CodeError, match=r"the same plots\.\nThe user is asked"):
            executor("import seaborn")
        assert asked == ["seaborn"]
        said: list[str] = []
        done = packages.install("seaborn", on_progress=said.append)
        assert done.versions == {"seaborn": "1.0"}, "numpy is there already"
        assert said == ["Looking for seaborn …", "Installing seaborn 1.0 …"]
        assert "seaborn 1.0 (" in str(done) and 0 < done.size < 10_000
        assert executor("import seaborn\nseaborn.PALETTE, x").output == ("deep", 5)
        assert packages.install("seaborn").versions == {}, "a second time there is nothing to do"
    finally:
        executor.cleanup()
    packages.close()
    assert not packages.folder.exists()


def test_what_it_needs_comes_too(index: Path, packages: Packages) -> None:
    make_wheel(index, "polars", {"polars.py": ""}, requires="unit-words>=1\nnumpy")
    make_wheel(index, "unit-words", {"unit_words.py": ""}, version="1.5")
    make_wheel(index, "faker", {"faker.py": ""}, requires="unit-words")
    assert packages.install("polars").versions == {"polars": "1.0", "unit-words": "1.5"}
    assert packages.install("faker").versions == {"faker": "1.0"}, "the rest is there already"


def test_nothing_of_hearth_is_exchanged(index: Path, packages: Packages) -> None:
    make_wheel(index, "polars", {"polars.py": ""}, requires="numpy<2")
    make_wheel(index, "numpy", {"numpy/__init__.py": ""}, version="1.26.0")
    with pytest.raises(PackageError, match="it needs other versions of what Hearth has installed"):
        packages.install("polars")
    assert left_over(packages) == []


def test_no_set_up_code_ever_runs(index: Path, packages: Packages, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    with tarfile.open(index / "polars-1.0.tar.gz", "w:gz") as archive:
        for name, text in {
            "setup.py": f"open({str(mark)!r}, 'w')\nfrom setuptools import setup\nsetup()",
            "PKG-INFO": "Metadata-Version: 2.1\nName: polars\nVersion: 1.0\n",
        }.items():
            entry = tarfile.TarInfo(f"polars-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    with pytest.raises(PackageError, match=r"no such package, or no wheel of it"):
        packages.install("polars")
    assert not mark.exists() and left_over(packages) == []


def test_no_installed_code_ever_runs_outside(
    index: Path, packages: Packages, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    bad = f"open({str(mark)!r}, 'w')\n"
    names = (
        "pip/__init__",
        "sitecustomize",
        "usercustomize",
        "json",
        "encodings/__init__",
        "polars",
    )
    files: dict[str, str | bytes] = {f"{name}.py": bad for name in names}
    files |= {"start.pth": f"import os; {bad}", "polars-1.0.data/scripts/pip": "#!python\n" + bad}
    make_wheel(index, "polars", files)
    make_wheel(index, "faker", {"faker.py": ""})
    packages.install("polars")
    assert packages.install("faker").versions == {"faker": "1.0"}
    assert not mark.exists()
    assert not (packages.folder / "bin").exists()


@pytest.mark.parametrize(
    "name",
    [
        "-r /etc/passwd",
        "--index-url=http://127.0.0.1",
        "git+https://127.0.0.1/x",
        "../x",
        "./polars",
        "polars; import os",
        "polars[extra]",
        "polars>=1",
        "polars @ file:///x.whl",
        "",
        "x" * 200,
        "pi\nnt",
    ],
)
def test_what_is_no_name_is_refused(index: Path, packages: Packages, name: str) -> None:
    with pytest.raises(InputError, match=r"no package's name"):
        packages.install(name)


def test_an_import_s_name_stands_for_its_package(index: Path, packages: Packages) -> None:
    make_wheel(index, "opencv-python-headless", {"cv2/__init__.py": ""}, version="5.1")
    make_wheel(index, "cv2", {"cv2/__init__.py": "raise SystemExit('a trap')"})
    assert packages.install("cv2==5.1").versions == {"opencv-python-headless": "5.1"}


def test_who_is_asked_and_for_what(tmp_path: Path) -> None:
    ask = Packages(tmp_path / "p")
    assert ask.offer("seaborn") == ("ask", "seaborn")
    assert ask.offer("cv2") == ("ask", "opencv-python-headless")
    for module in ("requests", "torch", "made_up_by_a_model", "seaborn_extra"):
        assert ask.offer(module) == ("", ""), module
    listed = Packages(tmp_path / "p", "seaborn, My_Own==2.0, opencv-python-headless")
    assert listed.offer("seaborn") == ("install", "seaborn")
    assert listed.offer("my_own") == ("install", "My_Own==2.0")
    assert listed.offer("cv2") == ("install", "opencv-python-headless")
    assert listed.offer("plotly") == ("", ""), "only what is listed"
    never = Packages(tmp_path / "p", "never")
    assert never.offer("seaborn") == ("", "")
    with pytest.raises(InputError, match="sandbox_install is `never`"):
        never.install("seaborn")


@pytest.mark.parametrize("value", ["", " , ", "seaborn,../x", "ask,seaborn", "-x"])
def test_a_setting_that_can_not_be(value: str) -> None:
    with pytest.raises(ValueError, match="name"):
        parse_allowed(value)


def test_too_large_is_refused_and_leaves_nothing(index: Path, tmp_path: Path) -> None:
    make_wheel(index, "polars", {"polars.py": "", "polars_data.bin": b"\0" * 3_000_000})
    packages = Packages(tmp_path / "s" / "packages", max_bytes=1_000_000)
    with pytest.raises(PackageError, match="larger than 1 MB"):
        packages.install("polars")
    assert left_over(packages) == []


class _Silent:
    """An index that takes connections and says nothing."""

    def __enter__(self) -> str:
        self.sock = socket.create_server(("127.0.0.1", 0))
        return f"http://127.0.0.1:{self.sock.getsockname()[1]}/simple"

    def __exit__(self, *_: object) -> None:
        self.sock.close()


def use_index(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_time_is_limited_and_a_stop_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _Silent() as url:
        use_index(monkeypatch, url)
        packages = Packages(tmp_path / "s" / "packages", max_seconds=2)
        with pytest.raises(PackageError, match="took longer than 2 s"):
            packages.install("polars")
        patient = Packages(tmp_path / "s" / "packages")
        with pytest.raises(Cancelled, match="installation was stopped"):
            patient.install("polars", stopped=lambda: True)
    assert left_over(packages) == []


def test_without_a_network_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _Silent() as url:
        pass  # nobody listens there any more
    use_index(monkeypatch, url)
    packages = Packages(tmp_path / "s" / "packages")
    with pytest.raises(PackageError, match="index can't be reached; is there a network") as caught:
        packages.install("polars")
    assert "The agent can go on without it" in caught.value.fix


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in its place")
    with pytest.raises(PackageError, match=r"polars could not be installed: (Not a|File)"):
        Packages(tmp_path / "file" / "packages").install("polars")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path, str], str]]:
    """A package index on loopback (PEP 503). `add(wheel, hash)` offers a wheel by a hash."""
    pages: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "a/b")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    def add(wheel: Path, sha256: str) -> str:
        name = wheel.name.split("-")[0]
        pages[f"/simple/{name}/"] = (
            f'<a href="/{wheel.name}#sha256={sha256}">{wheel.name}</a>'.encode()
        )
        pages[f"/{wheel.name}"] = wheel.read_bytes()
        return name

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    use_index(monkeypatch, f"http://127.0.0.1:{served.server_address[1]}/simple")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    yield add
    served.shutdown()
    served.server_close()


def test_from_an_index_by_hash(
    server: Callable[[Path, str], str], packages: Packages, tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, "polars", {"polars.py": "X = 1"})
    server(wheel, hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert packages.install("polars").versions == {"polars": "1.0"}
    other = make_wheel(tmp_path, "faker", {"faker.py": "X = 1"})
    server(other, "0" * 64)
    with pytest.raises(PackageError, match="not the one that the index announced"):
        packages.install("faker")


def test_the_table_is_in_order() -> None:
    for name, known in known_packages.KNOWN.items():
        assert name.isidentifier() and known.instead, name
        assert known.package == known_packages.normal(known.package), name
        assert not known.instead.endswith("."), name
    assert known_packages.package_of("sklearn") == "", "what comes with Hearth needs no installing"
    assert not set(known_packages.BUNDLED) & set(known_packages.KNOWN)
    pinned = (ROOT / "requirements.txt").read_text()
    for name in known_packages.BUNDLED:
        package = {"sklearn": "scikit-learn", "PIL": "pillow"}.get(name, name)
        assert f"\n{package}==" in pinned, f"{package} is said to come with Hearth"
