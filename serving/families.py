r"""What differs between model families, as data: one row each.

Sources of the numbers:

- r1-distill: DeepSeek-R1's README, "Usage Recommendations": temperature 0.6 (0.5 to 0.7, "to
  prevent endless repetitions"), top-p 0.95, no system prompt, the reply made to start with
  `<think>\n` (its chat template writes it); context from the checkpoints' config.json.
- qwen3: the Qwen3 model cards' "Best Practices": thinking 0.6 and 0.95, not thinking 0.7 and
  0.8; native context 32,768.
- gpt-oss: OpenAI's README: temperature 1.0, top-p 1.0; context from the config. Its servers
  send the thinking in a field of its own.
- magistral: the Magistral model cards: temperature 0.7, top-p 0.95; they hold more than 40k tokens
  of context, but less well. The template's own system prompt asks for the thinking, and stands
  only where no other is sent.
- instruct: nothing is sent, so the server's or the checkpoint's own defaults hold.
- tiny: the bundled model, trained for greedy decoding on single tasks.

`max_tokens` bounds one step, thinking included: 8,192 leaves room for the conversation in a
context of 16k, the least that a 7B model is served with here. Half of it may be thinking:
that is some two minutes on the smallest card, and a step is one of several.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from errors import SettingsError


@dataclass(frozen=True)
class Family:
    """How to talk to one family of models.

    `about`: a few words for people. `matches`: patterns (`*` stands for anything) for the last
    part of a model id, in lower case. `system_role`: false folds the system message into the
    first user message. `thinking`: `template` (the chat template opens it, the reply holds only
    `</think>`), `tags` (the reply holds both tags), `field` (only the family's own format holds
    it; it comes in a field, or in the text with the `marks` of `serving.channels`), or `none`
    (none is expected; tags are still understood). `temperature`, `top_p`: None sends none.
    `max_tokens`: of one reply, thinking included. `thinking_tokens`: how much of it may be
    thought before the thinking is closed; None for no limit but the reply's. `context_tokens`:
    what the checkpoint can hold; a server may allow less. `prompt`: the file in agent/prompts.
    `remembers_turns`: false shows it only the present task. `request`: more fields of a chat
    request, dropped where a server does not take them; `quick`: those that go with a request to
    act without thinking.
    """

    name: str
    about: str = ""
    matches: tuple[str, ...] = ()
    system_role: bool = True
    thinking: Literal["template", "tags", "field", "none"] = "none"
    marks: Literal["", "channels", "brackets"] = ""
    fence: str = "```python"
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int = 8192
    thinking_tokens: int | None = None
    context_tokens: int = 32_768
    prompt: str = "instruct"
    remembers_turns: bool = True
    request: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)

    @property
    def opens_thinking(self) -> bool:
        """Whether a reply begins inside the thinking."""
        return self.thinking == "template"


_NO_THINKING = {"chat_template_kwargs": {"enable_thinking": False}}

_ROWS = (
    Family(
        "tiny",
        about="the bundled model",
        matches=("tiny",),
        system_role=False,
        thinking="template",
        temperature=0.0,
        max_tokens=400,
        context_tokens=2048,
        prompt="tiny",
        remembers_turns=False,
    ),
    Family(
        "r1-distill",
        about="DeepSeek-R1 and its distills",
        # The last ones were made from the distills and have their template.
        matches=(
            *("*deepseek-r1*", "*r1-distill*", "deepseek-reasoner*"),
            *("*deepscaler*", "*deepcoder*", "*skywork-or1*"),
        ),
        system_role=False,
        thinking="template",
        temperature=0.6,
        top_p=0.95,
        thinking_tokens=4096,
        context_tokens=131_072,
        prompt="r1",
    ),
    Family(
        "gpt-oss",
        about="OpenAI's open models",
        matches=("*gpt-oss*",),
        thinking="field",
        marks="channels",
        temperature=1.0,
        top_p=1.0,
        thinking_tokens=4096,
        context_tokens=131_072,
        quick={"reasoning_effort": "low"},
    ),
    Family(
        "magistral",
        about="Mistral's models that think",
        matches=("*magistral*", "*ministral*reasoning*"),
        system_role=False,
        thinking="field",
        marks="brackets",
        temperature=0.7,
        top_p=0.95,
        thinking_tokens=4096,
        context_tokens=40_960,
    ),
    Family(
        "qwen-instruct",
        about="Qwen's models that do not think: Instruct, Coder",
        matches=("*qwen3*instruct*", "*qwen3-coder*", "*qwen2.5*"),
        temperature=0.7,
        top_p=0.8,
    ),
    Family(
        "thinking",
        about="models whose template opens the thinking: QwQ, Qwen3-Thinking",
        matches=("*qwen3*thinking*", "*qwq*", "*-thinking*"),
        thinking="template",
        temperature=0.6,
        top_p=0.95,
        thinking_tokens=4096,
    ),
    Family(
        "qwen3",
        about="Qwen3, thinking",
        matches=("*qwen3*",),
        thinking="tags",
        temperature=0.6,
        top_p=0.95,
        thinking_tokens=4096,
        quick=_NO_THINKING,
    ),
    Family(
        "qwen3-no-thinking",
        about="Qwen3 with its thinking switched off",
        temperature=0.7,
        top_p=0.8,
        request=_NO_THINKING,
    ),
    Family(
        "reasoning",
        about="other models that write their thinking between tags",
        matches=("*reasoning*", "*reasoner*"),
        thinking="tags",
        thinking_tokens=4096,
    ),
    Family("instruct", about="all other models"),
)

FAMILIES: Mapping[str, Family] = {row.name: row for row in _ROWS}
"""All rows by name; the first one that matches is taken, `instruct` when none does."""

# In the Hub's cache a model's folder is named by its commit.
_IN_CACHE = re.compile(r"models--(?:[^/\\]+--)?([^/\\]+?)[/\\]snapshots[/\\][^/\\]+[/\\]?$")
_BY_MODEL_TYPE = {"gpt_oss": "gpt-oss", "qwen3": "qwen3", "qwen3_moe": "qwen3"}
# A generation prompt that ends right after the opening tag (Qwen3's closes it again at once).
_OPENED_BY_TEMPLATE = re.compile(r"<think>(?:\\n|\n)?['\"]")


def family_for(model_id: str, config: Mapping[str, Any] | None = None) -> Family:
    """The family of a model id or folder; `family_named` gives one that the user names.

    `config` is the model's config.json, where it is at hand: its `hearth_family` decides, then the
    id, then its `chat_template` and `model_type`. Raises SettingsError for a `hearth_family`
    that does not exist.
    """
    config = config or {}
    named = config.get("hearth_family")
    if named is not None:
        return family_named(str(named), f"The model {model_id}", "hearth_family in its config.json")
    cached = _IN_CACHE.search(model_id)
    name = (cached[1] if cached else re.split(r"[/\\]", model_id.rstrip("/\\"))[-1]).lower()
    for row in _ROWS:
        if any(fnmatchcase(name, pattern) for pattern in row.matches):
            return row
    template = config.get("chat_template")
    if isinstance(template, str):
        prompt = template.rpartition("add_generation_prompt")[2]
        if _OPENED_BY_TEMPLATE.search(prompt):
            return FAMILIES["thinking"]
    return FAMILIES[_BY_MODEL_TYPE.get(str(config.get("model_type")), "instruct")]


def family_named(name: str, who: str = "A setting", where: str = "HEARTH_FAMILY") -> Family:
    """The row called `name`. Raises SettingsError that lists the valid names."""
    if name not in FAMILIES:
        raise SettingsError(
            f"{who} names an unknown family: {name!r}.",
            fix=f"Set {where} to one of: {', '.join(FAMILIES)}.",
        )
    return FAMILIES[name]
