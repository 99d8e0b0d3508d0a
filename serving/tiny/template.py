"""The chat template of the bundled model, shaped like DeepSeek-R1-Distill's.

One text, three users: the exported `chat_template.jinja`, the training sequences and the
servers. As in R1 there is no system role (a system message is set before the first turn as
plain text), the generation prompt ends inside an open `<think>`, and past thinking is cut
from history at `</think>`.
"""

_BAR, _SPACE = "\uff5c", "\u2581"
BOS = f"<{_BAR}begin{_SPACE}of{_SPACE}sentence{_BAR}>"
EOS = f"<{_BAR}end{_SPACE}of{_SPACE}sentence{_BAR}>"
USER = f"<{_BAR}User{_BAR}>"
ASSISTANT = f"<{_BAR}Assistant{_BAR}>"
THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"

SPECIAL_TOKENS = (BOS, EOS, USER, ASSISTANT)
"""Dropped by `skip_special_tokens`."""

THINKING_TOKENS = (THINK_OPEN, THINK_CLOSE)
"""Ordinary added tokens, as in R1-Distill: servers that skip special tokens must keep them."""

CHAT_TEMPLATE = """\
{%- macro text(content) -%}
{%- if content is string -%}{{ content }}
{%- elif content -%}
{%- for part in content -%}{%- if part['type'] == 'text' -%}{{ part['text'] }}{%- endif -%}\
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{{- bos_token -}}
{%- for message in messages -%}
{%- if message['role'] == 'system' -%}{{- text(message['content']) -}}{%- endif -%}
{%- endfor -%}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}
{{- 'USER' + text(message['content']) -}}
{%- elif message['role'] == 'assistant' -%}
{{- 'ASSISTANT' + text(message['content']).split('</think>')[-1].strip() + eos_token -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'ASSISTANT<think>\\n' -}}{%- endif -%}
""".replace("USER", USER).replace("ASSISTANT", ASSISTANT)


def prompt_text(messages: list[dict[str, str]]) -> str:
    """What `apply_chat_template(messages, add_generation_prompt=True)` gives, as text.

    `messages` are `{"role": "system"|"user"|"assistant", "content": text}`.
    """
    parts = [BOS, *(m["content"] for m in messages if m["role"] == "system")]
    for message in messages:
        if message["role"] == "user":
            parts.append(USER + message["content"])
        elif message["role"] == "assistant":
            said = message["content"].split(THINK_CLOSE)[-1].strip()
            parts.append(ASSISTANT + said + EOS)
    parts.append(f"{ASSISTANT}{THINK_OPEN}\n")
    return "".join(parts)


def reply_text(thinking: str, code: str) -> str:
    """What the model is to write after the generation prompt, its end token included."""
    return f"{thinking.strip()}\n{THINK_CLOSE}\n\n```python\n{code.strip()}\n```{EOS}"
