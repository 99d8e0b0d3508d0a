"""Where everything is put together: it and `agent/wiring` know every seam. Wiring, no logic."""

import contextlib
import logging
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from smolagents import Model, Tool

from agent import prompts
from agent.events import Event, RunStarted, event_from_dict, event_to_dict
from agent.packages import PackageDesk
from agent.resume import resumable
from agent.session import Limits, Session
from agent.shown_files import show
from agent.wiring.folders import check_data_dir, unwritable
from agent.wiring.gate import gate_for
from agent.wiring.models import manner_of
from agent.wiring.servers import Servers
from agent.wiring.toolbox import standard_tools
from errors import HearthError, InputError
from memory.history import History
from sandbox import selftest
from sandbox.executor import SandboxExecutor
from sandbox.files import Quota
from sandbox.install import Packages
from sandbox.selftest import Verdict
from serving.aside import Aside
from serving.engines import Endpoint, answers_health
from serving.families import Family
from serving.place import Place
from serving.progress import Measure
from serving.route import Route
from serving.router import RoutedModel
from settings import Settings, load_settings
from tools.web_search import SearchFunction

MOST_LOOKED_AT = 500  # sessions in which an unfinished run is looked for


class Hearth:
    """A model that answers, and sessions on it: what every front door needs.

        with Hearth() as hearth:
            session = hearth.new_session()
            for event in session.run("What is 17% of 2480?"):
                ...

    `settings` default to those of the project; `on_progress` is told, line by line, how the
    engine comes up, `on_measure` how far it is, in bytes and seconds. Entering opens the first
    model of the route that can be had (starts its engine, or finds the one that runs), leaving
    stops what was started, and it may be entered again. `notice` then says what was asked for and
    could not be had. Raises HearthError where none can.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        on_progress: Callable[[str], None] | None = None,
        on_measure: Measure | None = None,
    ) -> None:
        self.settings = settings or load_settings()
        self.history = History(self.settings.data_dir / "history")
        self._on_progress, self._on_measure = on_progress, on_measure
        self._route: Route | None = None
        self._servers = Servers(self.settings)

    def __enter__(self) -> "Hearth":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> "Hearth":
        """Open a model and wait until it answers. Does nothing where it has been started."""
        if self._route is None:
            try:
                startup = self.begin()
                _ = self.verdict  # takes a second, and the engine longer
                startup.wait()
            except BaseException:
                self.stop()
                raise
        return self

    def begin(self) -> Aside[Place]:
        """Like `start`, without waiting for the model: that is opened on a thread of its own, and
        the runs of sessions wait for it. Returns that work; runs that waited end with its fault."""
        if self._route is None:
            check_data_dir(self.settings.data_dir)
            # Its every retry would be a line on the user's terminal.
            logging.getLogger("stamina").setLevel(logging.ERROR)
            try:
                self._servers.connect()
            except BaseException:
                self._servers.close()
                raise
            self._route = Route(self.settings, say=self._on_progress, measure=self._on_measure)
        return self._route.startup or self._route.begin()

    def stop(self) -> None:
        """Stop the engines and the MCP servers that this Hearth started."""
        self._servers.close()
        route, self._route = self._route, None
        if route is not None:
            route.stop()

    @property
    def route(self) -> Route:
        """The models that may answer. Raises InputError before `start`."""
        if self._route is None:
            raise InputError("The engine is not running.", fix="Call start() first.")
        return self._route

    @property
    def notice(self) -> str:
        """What was asked for and could not be had when it started, and what is there instead."""
        return self._route.notice if self._route is not None else ""

    @property
    def endpoint(self) -> Endpoint:
        """Where the best model answers at present. Raises InputError before `start`, EngineError
        once it is gone for good and none is left."""
        place = self.route.present
        if place is None or place.endpoint is None:
            raise InputError("The engine is not running.", fix="Call start() first.")
        place.check()
        return place.endpoint

    @property
    def verdict(self) -> Verdict:
        """How the agent's code is confined. Raises SandboxError where it can't be."""
        return selftest.choose(self.settings.sandbox)

    def ready(self) -> bool:
        """Whether the engine answers at present."""
        try:
            endpoint = self.endpoint
        except HearthError:
            return False
        # An endpoint of someone else's need not have a health page; its faults show in the runs.
        here = endpoint.transport is not None  # in this very process
        return here or endpoint.engine == "endpoint" or answers_health(endpoint)

    def new_model(self, *, pinned: bool = False) -> RoutedModel:
        """What answers for one session: the first model of the route that can.

        `pinned`: the one that does at present, and no other in its place.
        """
        if not pinned and (self.route.present is None or not self.route.strict):
            return RoutedModel(self.route)
        _ = self.endpoint  # the one there is may be gone for good
        return RoutedModel(self.route, only=self.route.present)

    def new_session(
        self,
        *,
        model: Model | None = None,
        extra_tools: Sequence[Tool] = (),
        search: SearchFunction | None = None,
        notes: Path | None = None,
        workspace: Path | None = None,
        history: Sequence[Event] = (),
        name: str = "",
        asks: bool = True,
    ) -> Session:
        """A session of its own: its workspace, its sandbox, its client of the engine.

        `model` replaces the engine (a ScriptedModel needs none); `search` replaces the search
        engine, `notes` the folder of notes; `history` holds events to go on from; `name` is the
        session's, a new one by default. Without `asks` nobody is there to allow a call of a tool,
        and what would have to be asked for is refused.
        """
        s = self.settings
        model = model or self.new_model()
        family: Family = model.family  # type: ignore[attr-defined]
        name = name or uuid.uuid4().hex[:12]
        workspace = (workspace or s.data_dir / "workspaces" / name).absolute()
        try:
            workspace.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(workspace, error) from None
        tools = [
            *standard_tools(s, workspace, self.history, search=search, notes=notes),
            *extra_tools,
        ]
        tools += self._servers.tools(workspace, tools)
        packages = self._packages(name)

        def close() -> None:
            self.history.close(name)
            if resumable(session.events) is None:  # or the resumed run would miss them
                packages.close()

        session = Session(
            model,
            # A third of the context, at two characters a token, is enough for one step.
            self._executor(workspace, packages, _longest_context(model) * 2 // 3),
            tools,
            workspace,
            instructions=partial(prompts.instructions, family.prompt, tools),
            family=family.name,
            remembers_turns=family.remembers_turns,
            manner_of=partial(manner_of, tools=tools),
            limits=Limits(s.max_steps, s.run_timeout_seconds),
            store=lambda event: self.history.append(name, event_to_dict(event)),
            history=history,
            name=name,
            on_close=close,
            packages=PackageDesk(packages),
            sandbox=self.verdict.tier,
            gate=gate_for(s, tools, family.prompt, asks=asks),
            show_files=partial(
                show,
                frame=prompts.framer(family.prompt),
                most_tokens=min(s.shown_file_tokens, family.context_tokens // 16),
            ),
        )
        return session

    def _packages(self, name: str) -> Packages:
        packages = Packages(
            self.settings.data_dir / "packages" / name, self.settings.sandbox_install
        )
        try:
            packages.prepare()
        except OSError as error:
            raise unwritable(packages.folder, error) from None
        return packages

    def _executor(self, workspace: Path, packages: Packages, most_chars: int) -> SandboxExecutor:
        s = self.settings
        return SandboxExecutor(
            workspace,
            timeout_seconds=s.step_timeout_seconds,
            output_chars=min(s.output_chars, most_chars),
            memory_bytes=s.sandbox_memory_mb * 1024 * 1024,
            imports=s.allowed_imports,
            packages=packages.folder,
            confine=s.sandbox,
            quota=Quota(s.workspace_mb * 1_000_000, s.workspace_files),
            idle_seconds=s.sandbox_idle_minutes * 60 or None,
        )

    def unfinished(self) -> dict[str, RunStarted]:
        """The runs that broke off and can be resumed, by session, the last one first."""
        found = {}
        for session in self.history.sessions()[:MOST_LOOKED_AT]:
            started = resumable(_events(self.history, session))
            if started is not None and not self.history.busy(session):
                found[session] = started
        return found

    def session_of(self, run: str) -> str:
        """The session whose last run broke off; `run` is the run's id or the session's name, or
        the beginning of one, or `last`. Raises InputError where it can't be told."""
        known = self.unfinished()
        fits = [s for s, e in known.items() if run and (s.startswith(run) or e.run.startswith(run))]
        if run == "last":
            fits = list(known)[:1]
        if len(fits) != 1:
            what = f"Several runs can be meant by {run!r}." if fits else f"No run is {run!r}."
            listed = ", ".join(e.run for e in known.values()) or "none"
            raise InputError(what, fix=f"Runs that broke off and can be resumed: {listed}.")
        return fits[0]

    def reopen(self, run: str, *, model: Model | None = None, **options: Any) -> Session:
        """The session whose last run broke off, for `Session.resume`.

        `run` as in `session_of`, `options` as in `new_session`. Raises InputError where there is
        no such run, or where it goes on in another process.
        """
        name = self.session_of(run)
        self.history.claim(name)
        try:
            events = _events(self.history, name)
            return self.new_session(model=model, history=events, name=name, **options)
        except BaseException:
            self.history.close(name)
            raise


def _longest_context(model: Model) -> int:
    """In tokens: of the models that may answer, as a run can go on with another one."""
    families = getattr(model, "families", None) or [model.family]  # type: ignore[attr-defined]
    return max(family.context_tokens for family in families)


def _events(history: History, session: str) -> list[Event]:
    """The session's events; those of a later version of Hearth are left out."""
    events = []
    for event in history.events(session):
        with contextlib.suppress(ValueError):
            events.append(event_from_dict(event))
    return events
