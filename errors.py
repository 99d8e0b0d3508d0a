"""The two families of exceptions, and the difference that decides a run.

    Exception
    ├── HearthError          our own fault or the user's: ends the run, says what to do
    │   ├── SettingsError    a setting is unknown, impossible or can't be honoured
    │   ├── InputError       no task, an unreadable file, a bad argument
    │   ├── EngineError      an engine can't be started, or died for good
    │   ├── ModelError       the model's server can't be reached or answers with a fault
    │   │   ├── ContextTooLong   the messages exceed the model's context
    │   │   ├── GivenUp          the server was too slow, and may still be at work on the reply
    │   │   └── Refused      the server won't serve us: key, payment, unknown model
    │   ├── SandboxError     the sandbox itself broke (not the code in it)
    │   ├── PackageError     a package can't be installed for the agent's code
    │   └── Cancelled        the user stopped the run
    └── ModelMistake         the model's mistake: goes back to it as an observation
        ├── ReplyError       a reply with no action and no answer
        ├── CodeError        the code failed: error, timeout, limit
        └── ToolError        a tool can't do what its call asks for
            └── Denied       the user, or what they set, does not allow the call

A `HearthError` carries `fix`, one sentence that says what the user can do next; an
entry point prints `str(error)` and nothing else. To add one, subclass the family whose
handler it needs; never catch by text.
"""


class HearthError(Exception):
    """Ends a run. `message` says what is wrong, `fix` what the user can do about it."""

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\n{self.fix}" if self.fix else self.message


class SettingsError(HearthError):
    """A setting is unknown, impossible, or can't be honoured; the message names the field."""


class InputError(HearthError):
    """What the user handed in can't be used: no task, an unreadable file, a bad argument."""


class EngineError(HearthError):
    """An engine can't be started or died for good. `log` holds the end of its log."""

    def __init__(self, message: str, *, fix: str = "", log: str = "") -> None:
        super().__init__(message, fix=fix)
        self.log = log


class ModelError(HearthError):
    """The model's server can't be reached, refuses the request, or breaks off.

    `partial` is the `serving.reply.Reply` as far as it had come, when it broke off in the middle;
    `wait` how many seconds the server asked not to be asked again for, if it did.
    """

    def __init__(
        self, message: str, *, fix: str = "", partial: object = None, wait: float | None = None
    ) -> None:
        super().__init__(message, fix=fix)
        self.partial = partial
        self.wait = wait


class ContextTooLong(ModelError):
    """The messages and the reply's length together exceed the model's context."""


class GivenUp(ModelError):
    """The server was too slow, or said nothing at all; it may still be at work on the reply."""


class Refused(ModelError):
    """The server won't serve us as things are set: a refused key, payment due, unknown model."""


class SandboxError(HearthError):
    """The sandbox itself broke; never shown to the model as if its code had failed."""


class PackageError(HearthError):
    """A package can't be installed for the agent's code: no network, no wheel, no room."""


class Cancelled(HearthError):
    """The user stopped the run."""

    def __init__(self, message: str = "The run was stopped.", *, fix: str = "") -> None:
        super().__init__(message, fix=fix)


class ModelMistake(Exception):
    """The model's mistake; its text is the observation the model reads next."""


class ReplyError(ModelMistake):
    """A reply that holds neither code nor an answer."""


class CodeError(ModelMistake):
    """The code failed: `kind` is `error`, `timeout` or `limit`; the text is the observation."""

    def __init__(self, message: str, *, kind: str = "error") -> None:
        super().__init__(message)
        self.kind = kind


class ToolError(ModelMistake):
    """A tool can't do what its call asks for; `next_step` tells the model what to do instead.

    The code sees a built-in exception, `seen_as`, with the whole text.
    """

    def __init__(
        self, message: str, next_step: str = "", *, seen_as: type[Exception] = ValueError
    ) -> None:
        super().__init__(f"{message} {next_step}".strip())
        self.message, self.next_step, self.seen_as = message, next_step, seen_as


class Denied(ToolError):
    """A call of a tool that the user, or what they have set, does not allow."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step, seen_as=PermissionError)
