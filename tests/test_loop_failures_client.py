"""What goes wrong between stock smolagents 1.26 and a server whose model thinks, and not here.

Each test asks the same local server twice, once through smolagents' OpenAIModel and CodeAgent
and once through ours. `stock` has to show the failure, which keeps the test honest; `ours` must
not. F1 … are the names in the list of failures that the client was built against.
"""

import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console
from smolagents import CodeAgent, LogLevel
from smolagents.local_python_executor import CodeOutput, PythonExecutor
from smolagents.models import (
    ChatMessage,
    MessageRole,
    OpenAIModel,
    TransformersModel,
    VLLMModel,
    is_rate_limit_error,
)
from smolagents.monitoring import AgentLogger

from errors import Cancelled, ContextTooLong, HearthError
from serving.chat import ChatModel
from serving.model import StreamingModel
from serving.reply import ReplySplitter
from tests.fake_openai import FakeOpenAI, Turn
from tests.model_conformance import R1, TASK

CODE = "```python\nfinal_answer('right')\n```"
TAGS = "<code>\nfinal_answer('right')\n</code>"
RIGHT = "final_answer('right')"


@dataclass
class Got:
    """What came of one step: the code that was run, what was streamed, what went wrong."""

    ran: list[str] = field(default_factory=list)
    thinking: str = ""
    text: str = ""
    error: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)


Side = Callable[..., Got]


class Recorder(PythonExecutor):
    """An executor that runs nothing and takes all code for the last."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def send_tools(self, tools: dict[str, Any]) -> None:
        pass

    def send_variables(self, variables: dict[str, Any]) -> None:
        pass

    def __call__(self, code_action: str) -> CodeOutput:
        self.ran.append(code_action)
        return CodeOutput(output="done", logs="", is_final_answer=True)


def openai_model(server: FakeOpenAI, **options: Any) -> OpenAIModel:
    return OpenAIModel(
        "fake", api_base=server.url, api_key="x", client_kwargs={"max_retries": 0}, **options
    )


def stock_agent(server: FakeOpenAI, recorder: Recorder, **options: Any) -> CodeAgent:
    logger = AgentLogger(level=LogLevel.OFF, console=Console(file=io.StringIO()))
    model = openai_model(server)
    return CodeAgent([], model, executor=recorder, max_steps=1, logger=logger, **options)


def stock(*turns: Turn, stream: bool = True, **options: Any) -> Got:
    """One step of smolagents' own."""
    got, recorder = Got(), Recorder()
    with FakeOpenAI([*turns, Turn("I give up.")]) as server:
        agent = stock_agent(server, recorder, stream_outputs=stream, **options)
        for event in agent.run("Go.", stream=True):
            got.text += getattr(event, "content", None) or ""
            got.thinking += getattr(event, "reasoning", None) or ""
            got.error += str(getattr(event, "error", None) or "")
        got.bodies = [chat.body for chat in server.chats]
    got.ran = recorder.ran
    return got


def ours(*turns: Turn, **_: Any) -> Got:
    """One reply of our client, and what of it would be run."""
    got = Got()
    with FakeOpenAI(turns) as server:
        model = ChatModel(server.url, "fake", "", R1, timeout_seconds=20, patience_seconds=1)
        try:
            for delta in model.generate_stream(TASK, ["Observation:", "</code>"]):
                got.thinking += delta.reasoning or ""
                got.text += delta.content or ""
                if delta.reply is not None and delta.reply.code is not None:
                    got.ran.append(delta.reply.code)
        except HearthError as error:
            got.error = error.message
        finally:
            model.close()
        got.bodies = [chat.body for chat in server.chats]
    return got


both = pytest.mark.parametrize("side", [stock, ours])


def check(side: Side, good: bool, got: object) -> None:
    """Ours is good, and the stock one is not."""
    assert good is (side is ours), got


@both
def test_f01_a_draft_in_the_thinking_is_not_the_action(side: Side) -> None:
    draft = "Try <code>\nfinal_answer('draft')\n</code> No, wrong."
    got = side(Turn(TAGS, thinking=draft))
    check(side, got.ran == [RIGHT], got)


@both
@pytest.mark.parametrize("place", ["thinking", "text"])
@pytest.mark.parametrize(
    "said", ["It goes between `<code>` and `</code>` tags.", "I open with <code> and then."]
)
def test_f02_tags_that_are_talked_about_are_no_code(side: Side, said: str, place: str) -> None:
    in_text = f"{said}\n" if place == "text" else ""
    got = side(Turn(in_text + TAGS, thinking="Hm." if in_text else said))
    check(side, got.ran == [RIGHT], got)


@both
@pytest.mark.parametrize("word", ["Observation:", "Calling tools:", "</code>"])
@pytest.mark.parametrize("shape", ["template", "raw"])
def test_f03_nothing_in_the_thinking_stops_the_reply(side: Side, word: str, shape: Any) -> None:
    got = side(Turn(CODE, thinking=f"Then {word} comes.", shape=shape))
    check(side, got.ran == [RIGHT] and "stop" not in got.bodies[0], got)


@both
@pytest.mark.parametrize("shape", ["reasoning", "reasoning_content"])
def test_f04_nor_does_it_where_the_server_splits_the_reply(side: Side, shape: Any) -> None:
    got = side(Turn(TAGS, thinking="Then `</code>` comes.", shape=shape))
    check(side, got.ran == [RIGHT] and "comes" in got.thinking, got)


@both
def test_f05_a_reply_without_content_is_no_type_error(side: Side) -> None:
    """The model never ended its thinking; the parser made all of it reasoning."""
    turns = Turn("", thinking="Hm.", shape="reasoning"), Turn(f"</think>{CODE}")
    got = side(*turns, stream=False)
    check(side, got.ran == [RIGHT] and not got.error, got)


@both
def test_f06_an_empty_stream_is_no_empty_program(side: Side) -> None:
    turns = Turn("", thinking="Hm.", shape="reasoning"), Turn(f"</think>{CODE}")
    got = side(*turns)
    assert side is ours or got.ran == [""], "it ran, and nothing went wrong"
    check(side, got.ran == [RIGHT], got)


@both
@pytest.mark.parametrize("shape", ["reasoning", "reasoning_content"])
def test_f07_f08_reasoning_is_read_whatever_its_field_is_called(side: Side, shape: Any) -> None:
    got = side(Turn(TAGS, thinking="I think.", shape=shape))
    check(side, got.thinking == "I think.", got)


@both
@pytest.mark.parametrize("heading", ["Output:", "Observations:", "### Output", "Execution logs:"])
def test_f10_f14_what_comes_after_the_first_fence_is_never_run(side: Side, heading: str) -> None:
    invented = f"{CODE}\n\n{heading}\nright\n\n```python\nfinal_answer('wrong')\n```"
    got = side(Turn(invented, thinking="Hm."))
    check(side, got.ran == [RIGHT] and "wrong" not in got.text, got)


@both
def test_f11_nor_with_markdown_tags(side: Side) -> None:
    invented = f"{CODE}\nOutput: right\n```python\nfinal_answer('wrong')\n```"
    got = side(Turn(invented, thinking="Hm."), code_block_tags="markdown")
    check(side, got.ran == [RIGHT], got)


LINES = "x = 'right'\nprint(x)"  # which is no code by itself, as `final_answer(…)` is
CALL = '{"name": "final_answer", "arguments": {"answer": "right"}}'
FORMS = {
    "a bare fence": (f"```\n{LINES}\n```", LINES),
    "closed on its line": (f"```python\n{LINES}```", LINES),
    "on one line": (f"```python {RIGHT}```", RIGHT),
    "large tags": (f"<CODE>\n{LINES}\n</CODE>", LINES),
    "an attribute": (f"<code python>\n{LINES}\n</code>", LINES),
    "a fence in tags": (f"<code>\n```python\n{LINES}\n```\n</code>", LINES),
    "tildes": (f"~~~python\n{LINES}\n~~~", LINES),
    "a tool call": (CALL, "final_answer(answer='right')"),
}


@both
@pytest.mark.parametrize("form", FORMS)
def test_f12_code_in_other_forms_is_code(side: Side, form: str) -> None:
    written, wanted = FORMS[form]
    got = side(Turn(f"So:\n{written}\nDone.", thinking="Hm."))
    check(side, got.ran == [wanted], got)


@both
def test_f12_a_closing_tag_in_a_string_closes_nothing(side: Side) -> None:
    code = "final_answer('<code></code>')"
    got = side(Turn(f"<code>\n{code}\n</code>", thinking="Hm."))
    check(side, got.ran == [code], got)


@both
def test_f17_all_roles_reach_the_server_as_it_knows_them(side: Side) -> None:
    messages = [
        ChatMessage(role=MessageRole.SYSTEM, content=[{"type": "text", "text": "Be brief."}]),
        *TASK,
        ChatMessage(role=MessageRole.TOOL_CALL, content=[{"type": "text", "text": "f()"}]),
        ChatMessage(role=MessageRole.TOOL_RESPONSE, content=[{"type": "text", "text": "3"}]),
    ]
    with FakeOpenAI([Turn("</think>fine")]) as server:
        model: Any = ChatModel(server.url, "fake", "", R1, timeout_seconds=5)
        if side is stock:  # R1 wants no system role
            model = openai_model(server, custom_role_conversions={"system": "user"})
        try:
            text = model.generate(messages).content
        except Exception as error:  # noqa: BLE001 - how it fails is what is looked at
            text = str(error)
    assert side is ours or "Unexpected message role" in text
    check(side, text == "fine", text)


class Tokens:
    """As much of a tokenizer as the stop criterion uses: a character each, and one token of two."""

    def decode(self, ids: Any, **_: Any) -> str:
        return ">\n" if int(ids) == 1 else chr(int(ids))


@both
def test_f21_the_end_of_the_code_is_seen_inside_a_token(side: Side) -> None:
    ids = [*map(ord, "</think><code>\nf()\n</code"), 1]
    if side is ours:
        splitter = ReplySplitter(opens_thinking=True)
        for i in ids:
            splitter.feed(Tokens().decode(i))
        ended = splitter.done
    else:
        import torch

        model = object.__new__(TransformersModel)
        criterion = model.make_stopping_criteria(["</code>"], Tokens())
        ended = False
        for length in range(1, len(ids) + 1):
            tokens = torch.tensor([ids[:length]])
            ended = bool(torch.as_tensor(criterion(tokens, None)).any()) or ended
    check(side, ended, ids)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@both
def test_f22_a_model_that_fails_does_not_hang_its_reader(side: Side) -> None:
    failed = threading.Event()

    def read() -> None:
        try:
            list(model.generate_stream(TASK))
        except Exception:  # noqa: BLE001 - any end of it is an end
            failed.set()

    with FakeOpenAI([Turn("x", fault="error_event", after=1)]) as server:
        model: Any = ChatModel(server.url, "fake", "", R1, timeout_seconds=20, patience_seconds=0.5)
        if side is stock:
            model = failing_transformers_model()
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(timeout=10 if side is ours else 1)
        check(side, failed.is_set(), "the reader waits")
        if side is ours:
            model.close()


def failing_transformers_model() -> Any:
    """A TransformersModel whose generate raises, as on a full GPU; nothing is loaded."""
    import torch
    from transformers import TextIteratorStreamer

    class Failing:
        device = "cpu"

        def generate(self, **_: Any) -> None:
            raise RuntimeError("CUDA out of memory")

    class Model(TransformersModel):
        def _prepare_completion_args(self, *_: Any, **__: Any) -> dict[str, Any]:
            return {"inputs": torch.tensor([[1]])}

    model = object.__new__(Model)
    model.model, model.model_id = Failing(), "failing"
    model.streamer = TextIteratorStreamer(Tokens())
    return model


@both
def test_f23_a_local_vllm_can_stream(side: Side) -> None:
    check(side, hasattr(StreamingModel if side is ours else VLLMModel, "generate_stream"), side)


@both
def test_f24_the_length_of_a_reply_and_of_its_thinking_have_an_end(side: Side) -> None:
    forever = Turn("", thinking="".join(f"Or is it {n}? " for n in range(9000)), chunk=500)
    got = side(forever, Turn(CODE, thinking="I act."))
    good = got.bodies[0].get("max_tokens") == R1.max_tokens and got.ran == [RIGHT]
    check(side, good and len(got.thinking) < 40_000, (got.ran, len(got.thinking)))


@both
def test_f26_a_number_in_an_error_is_no_rate_limit(side: Side) -> None:
    """`4295 tokens` holds 429; the stock client would wait two minutes and ask again."""
    said = {"error": {"message": "maximum context length is 4096 tokens, you have 4295 tokens"}}
    with FakeOpenAI([Turn(status=400, error=said)]) as server:
        started = time.monotonic()
        if side is ours:
            with pytest.raises(ContextTooLong):
                ChatModel(server.url, "fake", "", R1, timeout_seconds=20).generate(TASK)
            waits = time.monotonic() - started > 5 or len(server.chats) > 1
        else:
            with pytest.raises(Exception, match="4295") as caught:
                openai_model(server, retry=False).generate(TASK)
            waits = is_rate_limit_error(caught.value)
    check(side, not waits, waits)


@both
@pytest.mark.parametrize("status", [503, 500, 502, 408])
def test_f26_a_server_that_is_busy_for_a_moment_is_asked_again(side: Side, status: int) -> None:
    with FakeOpenAI([Turn(status=status), Turn("</think>fine")]) as server:
        model: Any = ChatModel(server.url, "fake", "", R1, timeout_seconds=20)
        if side is stock:
            model = openai_model(server)
        try:
            text = model.generate(TASK).content
        except Exception as error:  # noqa: BLE001 - how it fails is what is looked at
            text = str(error)
    check(side, text == "fine", text)


@both
def test_f26_a_stream_that_breaks_off_is_no_reply(side: Side) -> None:
    """The stock client takes what came for the whole."""
    broken = Turn("```python\nx = 1\n", thinking="Hm.", fault="early_end", after=7)
    got = side(broken, Turn(CODE, thinking="Hm."))
    check(side, got.ran == [RIGHT], got)


@both
def test_f27_a_reply_can_be_stopped_at_once(side: Side) -> None:
    ended, cancel = threading.Event(), threading.Event()
    with FakeOpenAI([Turn("x", fault="silence", after=0)]) as server:
        model = ChatModel(server.url, "fake", "", R1, timeout_seconds=20)
        agent = stock_agent(server, Recorder(), stream_outputs=True)

        def run() -> None:
            try:
                if side is stock:
                    agent.run("Go.")
                else:
                    list(model.generate_stream(TASK, cancel=cancel))
            except Exception as error:  # noqa: BLE001 - the stock one's, once the server is gone
                if isinstance(error, Cancelled):
                    ended.set()

        runner = threading.Thread(target=run, daemon=True)
        runner.start()
        while not server.chats:
            time.sleep(0.01)
        agent.interrupt() if side is stock else cancel.set()
        good = ended.wait(1.5) and server.chats[0].disconnected.wait(1.5)
        check(side, good, "it waits on")
        model.close()
    runner.join(timeout=30)


@both
def test_f28_thought_and_code_as_json_need_no_grammar(side: Side) -> None:
    reply = '{"thought": "I know it.", "code": "final_answer(\'right\')"}'
    got = side(Turn(reply, thinking="Hm."), use_structured_outputs_internally=True)
    check(side, got.ran == [RIGHT] and "response_format" not in got.bodies[0], got)
