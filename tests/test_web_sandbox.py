"""What a visitor sees of the sandbox: its tier, what it leaves open, and packages at a click."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from agent.packages import PackageDesk
from agent.session import Session
from sandbox.confine import TIERS
from sandbox.executor import SandboxExecutor
from sandbox.install import Packages
from sandbox.selftest import Verdict
from serving.scripted import ScriptedModel
from settings import load_settings
from tests.test_web_page import Site, ask, browser, code  # noqa: F401 - a fixture among them
from tests.wheels import make_wheel, use_folder
from web.sandbox_note import sandbox_note
from web.server import build_app

SCRIPT = [
    code("import seaborn\nfinal_answer(seaborn.PALETTE)"),
    code("final_answer('without it')"),
    code("import seaborn\nfinal_answer(seaborn.PALETTE)"),
]


def verdict(tier: str) -> Verdict:
    return Verdict(tier, ((tier, True, ""),), 0.1)


@pytest.mark.parametrize("tier", list(TIERS))
def test_the_note_says_what_each_tier_leaves_open(tier: str) -> None:
    note = sandbox_note(verdict(tier))
    assert f"Sandbox: {tier}" in note and note.count("<li>") == len(TIERS[tier].covers) + len(
        TIERS[tier].leaves_open
    )
    warned = tier in ("unconfined", "uid", "restricted")
    assert ("role='alert'" in note) is warned
    assert ("hearth-sandbox none" in note) is (tier == "unconfined")


class Allows(Site):
    """A page whose sessions may have packages."""

    tier = "landlock"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        settings = load_settings(folder, data_dir=folder / "data")
        note = sandbox_note(verdict(self.tier))
        app = build_app(
            self.visitors, settings, about=lambda: "**Model:** x", ready=lambda: True, sandbox=note
        )
        self.server.config.app = app
        self.server._mounted = app.routes[-1].app  # type: ignore[attr-defined]

    def _new_session(self) -> Session:
        folder = self.folder / f"w{len(self.sessions)}"
        packages = Packages(folder / "packages")
        packages.prepare()
        executor = SandboxExecutor(folder / "work", packages=packages.folder)
        model = ScriptedModel(SCRIPT, delay_seconds=0.002)
        desk = PackageDesk(packages)
        self.sessions.append(Session(model, executor, [], folder / "work", packages=desk))
        return self.sessions[-1]


class Open(Allows):
    """A page that is told of no sandbox at all."""

    tier = "unconfined"


@pytest.fixture
def opened(
    tmp_path: Path,
    browser: Browser,  # noqa: F811
) -> Iterator[Callable[[type[Allows]], Page]]:
    sites: list[Allows] = []

    def open_(kind: type[Allows]) -> Page:
        site = kind(tmp_path)
        sites.append(site)
        return site.opened(browser)

    yield open_
    for site in sites:
        site.close()


def test_the_first_view_names_the_tier(opened: Callable[[type[Allows]], Page]) -> None:
    page = opened(Allows)
    line = page.get_by_text("Sandbox: landlock")
    expect(line).to_be_visible(timeout=20_000)
    expect(line).to_be_in_viewport()
    left_open = page.get_by_text(TIERS["landlock"].leaves_open[0])
    expect(left_open).to_be_hidden()
    line.click()
    expect(left_open).to_be_visible()
    expect(page.locator("[role=alert]")).to_have_count(0)
    page.context.close()


def test_no_sandbox_is_shown_in_red(opened: Callable[[type[Allows]], Page]) -> None:
    page = opened(Open)
    alert = page.locator("#sandbox [role=alert]")
    expect(alert).to_contain_text("The sandbox is off", timeout=20_000)
    expect(alert).to_be_in_viewport()
    red, green, blue = alert.evaluate(
        "e => getComputedStyle(e).color.match(/\\d+/g).slice(0, 3).map(Number)"
    )
    assert red > 180 and green < 80 and blue < 80
    page.context.close()


def test_a_package_at_a_click(
    opened: Callable[[type[Allows]], Page], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = use_folder(tmp_path / "index", monkeypatch)
    page = opened(Allows)
    button = page.locator("#install")
    expect(page.locator("#task textarea")).to_be_visible(timeout=20_000)
    expect(button).to_be_hidden()
    ask(page, "plot it")
    expect(page.locator("strong", has_text="without it")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("The code asks for seaborn, which isn't installed.")).to_be_visible()
    expect(button).to_have_text("Install seaborn for this conversation")

    button.click()  # there is nothing in the index yet
    expect(page.get_by_text("seaborn could not be installed").first).to_be_visible(timeout=30_000)
    expect(button).to_have_text("Install seaborn for this conversation")

    make_wheel(index, "seaborn", {"seaborn/__init__.py": "PALETTE = 'deep'\n"})
    button.click()
    expect(page.get_by_text("Installed: seaborn 1.0")).to_be_visible(timeout=30_000)
    expect(button).to_be_hidden()
    ask(page, "plot it again")
    expect(page.locator("strong", has_text="deep")).to_be_visible(timeout=30_000)
    page.context.close()
