"""The page while a model is being started, in a real Chromium, with a hub on loopback."""

import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from serving.model_source import BUNDLED_FOLDER
from tests.app_help import App
from tests.engine_help import serving
from tests.fake_hub import hub_handler
from tests.test_web_page import ask, browser  # noqa: F401 - a fixture

go_on = threading.Event()


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, App]]:
    """An app for each model of the hub, begun together."""
    tmp, apps = tmp_path_factory.mktemp("start"), {}
    with serving() as serve:
        hub = serve(hub_handler(BUNDLED_FOLDER, Counter(), go_on))
        for fault in ("held", "missing"):
            apps[fault] = App(
                HEARTH_MODEL=f"org/{fault}",
                HEARTH_ROUTE="main",
                HEARTH_FAMILY="tiny",
                HEARTH_DATA_DIR=str(tmp / fault),
                HF_ENDPOINT=hub,
                HF_HOME=str(tmp / "hf"),
                HF_HUB_OFFLINE="0",
            )
        yield apps
        go_on.set()
        for app in apps.values():
            if app.process.poll() is None:
                assert not app.end(), "nothing is left running"
            assert "Traceback" not in app.said, app.said


def test_a_model_that_does_not_exist_ends_the_app(apps: dict[str, App]) -> None:
    said = apps["missing"].ended()
    assert apps["missing"].process.returncode == 2
    assert "Hugging Face has no model org/missing" in said and "HEARTH_MODEL" in said


def test_the_page_is_up_while_the_model_comes(apps: dict[str, App], browser: Browser) -> None:  # noqa: F811
    page = browser.new_page()
    page.goto(apps["held"].address())
    start = page.locator("#starting")
    expect(start).to_contain_text("The model is being started: downloading org/held")
    expect(start).to_contain_text("MB of")
    ask(page, "Reverse the word 'fire'.")
    expect(page.get_by_text("Step 1: waiting for the model")).to_be_visible()
    page.locator("#stop").click()
    expect(page.get_by_text("The run was stopped.")).to_be_visible()
    ask(page, "What is 17% of 2480, plus 3 squared?")
    expect(page.get_by_text("Step 1: waiting for the model")).to_be_visible()
    go_on.set()
    expect(page.get_by_text("430.6")).to_be_visible(timeout=90_000)
    expect(start).to_be_hidden()
    expect(page.get_by_text("Model: org/held (transformers)")).to_be_visible()
    page.close()
