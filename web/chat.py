"""The first page: a chat that shows the agent's steps as they happen."""

import html
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from agent.events import RunFinished
from agent.packages import pending
from agent.session import Session
from errors import HearthError
from web.publish import Publisher
from web.render import Message, Transcript
from web.sandbox_note import CSS as SANDBOX_CSS
from web.visitors import Visitors

REDRAW_SECONDS = 0.15
LOOK_SECONDS = 1.0
EXAMPLES = [
    "What is 17% of 2480, plus 3 squared?",
    "How many days are there between 2024-02-10 and 2025-01-01?",
    "Is 7919 a prime number?",
    "Reverse the word 'hearth'.",
]
CSS = ".hearth-note {opacity: .75; font-size: .9em} footer {display: none !important}" + SANDBOX_CSS


def build_page(
    visitors: Visitors,
    about: Callable[[], str],
    publish: Publisher,
    sandbox: str = "",
    standing: Callable[[], str] = lambda: "",
) -> gr.Blocks:
    """The chat page. `about` gives a line of Markdown on the model, `standing` one on its start
    while that goes on or has failed, and else nothing; `sandbox` is HTML on the sandbox."""
    with gr.Blocks(title="Hearth", fill_height=True, analytics_enabled=False) as page:
        key = gr.BrowserState("", storage_key="hearth-visitor")
        gr.Markdown("# Hearth\nA personal agent that thinks in Python.")
        if sandbox:
            gr.HTML(sandbox, padding=False)
        start = gr.Markdown(visible=False, elem_id="starting")
        clock = gr.Timer(LOOK_SECONDS, active=False)
        chat = gr.Chatbot(
            show_label=False,
            height="52vh",
            buttons=["copy"],
            # Only $$…$$ is mathematics: prices and shell text hold single dollars.
            latex_delimiters=[{"left": "$$", "right": "$$", "display": True}],
            allow_tags=False,
            feedback_options=None,
            placeholder="Ask for something that Python can work out, or attach a file.",
        )
        box = gr.MultimodalTextbox(
            show_label=False,
            placeholder="Your task…",
            file_count="multiple",
            max_plain_text_length=100_000,
            elem_id="task",
        )
        install = gr.Button(visible=False, variant="primary", elem_id="install")
        question = gr.State("")  # the one that this page shows, and its buttons answer
        with gr.Row(visible=False, elem_id="permit") as permit:
            once = gr.Button("Allow this once", variant="primary", elem_id="permit-once")
            always = gr.Button(elem_id="permit-session")
            deny = gr.Button("Deny", variant="stop", elem_id="permit-deny")
        offers = [install, permit, always, question]
        with gr.Row():
            stop = gr.Button("Stop", variant="stop", elem_id="stop")
            new = gr.Button("New conversation", elem_id="new")
        gr.Examples(EXAMPLES, box, label="Try one")
        note = gr.Markdown(elem_classes="hearth-note")

        def ask(value: dict[str, Any], visitor: str) -> Iterator[tuple[Any, ...]]:
            visitor = visitor or uuid.uuid4().hex
            try:
                session = visitors.get(visitor)
                session.start(value.get("text") or "", [Path(f) for f in value.get("files") or []])
            except HearthError as error:
                # What was typed stays in the box.
                yield gr.skip(), gr.skip(), visitor, *[gr.skip()] * len(offers)
                # Errors are shown as HTML, and a file's name, for one, may hold some.
                shown = html.escape(str(error), quote=False).replace("\n", "<br>")
                raise gr.Error(shown, print_exception=False, duration=None) from None
            yield gr.skip(), gr.update(value=None), visitor, *[gr.skip()] * len(offers)
            for messages in watch(session, publish):
                yield messages, gr.skip(), gr.skip(), *offer(session)

        def come_back(visitor: str) -> Iterator[tuple[Any, ...]]:
            """After a reload: what was said, and the run that may still go on."""
            session = visitors.find(visitor)
            if session is not None:
                for messages in watch(session, publish):
                    yield messages, *offer(session)

        def look() -> tuple[Any, ...]:
            """How the model's start stands; asked again while there is something to say."""
            said = standing()
            shown = gr.update(value=said, visible=bool(said))
            return shown, about(), gr.Timer(active=bool(said))

        def allow(visitor: str) -> Iterator[tuple[Any, ...]]:
            """Install what the code asked for; the user has just said so."""
            session = visitors.find(visitor)
            if session is None or session.packages is None:
                return
            names, faults = pending(session.events), []
            doing = gr.update(value=f"Installing {', '.join(names)} …", interactive=False)
            yield gr.skip(), doing, *[gr.skip()] * (len(offers) - 1)
            for name in names:
                try:
                    session.packages.install(name)
                except HearthError as error:
                    faults.append(error)
            transcript = Transcript(partial(publish, session.workspace))
            transcript.add(session.events)
            yield transcript.messages, *offer(session)
            if faults:
                shown = html.escape(str(faults[0]), quote=False).replace("\n", "<br>")
                raise gr.Error(shown, print_exception=False, duration=None)

        def answer(choice: str, visitor: str, ask: str) -> tuple[Any, ...]:
            """The user's word on the question that this page shows."""
            session = visitors.find(visitor)
            if session is None:
                return hidden()
            if not session.answer(ask, choice):
                gr.Info("That question is over.")
            return offer(session)

        def cancel(visitor: str) -> None:
            session = visitors.find(visitor)
            if session is not None:
                session.cancel()

        def begin_anew(visitor: str) -> tuple[Any, ...]:
            visitors.end(visitor)
            return [], uuid.uuid4().hex, *hidden()

        for event in (page.load, clock.tick):
            event(look, None, [start, note, clock], queue=False, show_progress="hidden")
        asked = box.submit(ask, [box, key], [chat, box, key, *offers], concurrency_limit=None)
        loaded = page.load(come_back, [key], [chat, *offers], concurrency_limit=None)
        install.click(allow, [key], [chat, *offers], concurrency_limit=None)
        for button, choice in ((once, "once"), (always, "session"), (deny, "deny")):
            button.click(partial(answer, choice), [key, question], offers, queue=False)
        stop.click(cancel, [key], None, queue=False)
        for leave in (new.click, chat.clear):
            leave(begin_anew, [key], [chat, key, *offers], queue=False, cancels=[asked, loaded])
    return page


def offer(session: Session) -> tuple[Any, ...]:
    """What the user can allow just now: the packages that the code asked for, and the oldest call
    of a tool that waits for a yes. Hidden where there is nothing."""
    names = pending(session.events)
    label = f"Install {', '.join(names)} for this conversation"
    install = gr.update(value=label, visible=bool(names), interactive=True)
    questions = session.permissions.open
    if not questions:
        return install, *hidden()[1:]
    first = questions[0]
    always = gr.update(value=f"Allow {first.grant} in this conversation")
    return install, gr.update(visible=True), always, first.ask


def hidden() -> tuple[Any, ...]:
    """Nothing is there to be allowed."""
    return gr.update(visible=False), gr.update(visible=False), gr.skip(), ""


def watch(session: Session, publish: Publisher) -> Iterator[list[Message]]:
    """The session's messages, again and again until nothing runs; at most every 0.15 s."""
    transcript, seen = Transcript(partial(publish, session.workspace)), 0
    while True:
        fresh = session.wait(seen, timeout_seconds=1.0)
        seen += len(fresh)
        if fresh:
            transcript.add(fresh)
            yield transcript.messages
        if (fresh and isinstance(fresh[-1], RunFinished)) or (not fresh and not session.running):
            return
        time.sleep(REDRAW_SECONDS)
