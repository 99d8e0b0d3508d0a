"""Which calls of tools go on, which the user is asked about, and which are refused.

A rule is `what=answer`. `what` is a tool's name, that of its server, a domain (`example.com`, or
`*.example.com` for it and all below it), or what a tool touches; `answer` is allow, ask or deny.
For a call

1. a deny that names its tool, its server or its domain stands;
2. else the rule for its domain counts, the most exact one;
3. else the rule for its tool, or that for its server;
4. else, of the rules for what it touches, the strictest;
5. else it may go on, unless it spends money or changes something elsewhere: then it is asked.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

TOUCHES = ("network", "files", "memory", "money", "changes")
ANSWERS = ("allow", "ask", "deny")
DEFAULTS: Mapping[str, str] = {"money": "ask", "changes": "ask"}


@dataclass(frozen=True)
class Decision:
    """What a policy says of a call, and by which rule; the rule is empty where none fits."""

    answer: str
    rule: str = ""


@dataclass(frozen=True)
class Policy:
    """The rules of a session, as `{what: answer}`. `parse` reads them from a setting."""

    rules: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """The policy of a setting such as `network=ask, *.example.com=deny`.

        The setting has been checked; the last of two rules for the same thing counts.
        """
        pairs = (rule.partition("=") for rule in text.split(",") if rule.strip())
        return cls({what.strip(): answer.strip() for what, _, answer in pairs})

    def with_rules(self, rules: Mapping[str, str]) -> "Policy":
        """The same, and over it these rules."""
        return Policy({**self.rules, **rules})

    def named_tools(self) -> list[str]:
        """The tools that the rules name."""
        return [what for what in self.rules if what not in TOUCHES and not _is_domain(what)]

    def decide(self, tool: str, touches: Collection[str], domain: str, group: str = "") -> Decision:
        """What is to become of a call of `tool` that reaches `domain` (empty: none by name)."""
        where = self._domain_rule(domain.lower().rstrip("."))
        for what in (where, tool, group):
            if what and self.rules.get(what) == "deny":
                return self._said(what)
        for what in (where, tool, group):
            if what and what in self.rules:
                return self._said(what)
        known = [self._said(touch) for touch in sorted(touches) if touch in self.rules]
        known += [
            Decision(DEFAULTS[touch], f"{touch}={DEFAULTS[touch]}")
            for touch in sorted(touches)
            if touch in DEFAULTS and touch not in self.rules
        ]
        return max(known, key=lambda said: ANSWERS.index(said.answer), default=Decision("allow"))

    def domain_is_denied(self, domain: str) -> bool:
        """Whether a rule for the domain itself denies it, whichever tool goes there."""
        return self.rules.get(self._domain_rule(domain.lower().rstrip("."))) == "deny"

    def _domain_rule(self, domain: str) -> str:
        """The most exact rule for a domain; empty for none."""
        if not domain:
            return ""
        fits = [
            what
            for what in self.rules
            if what == domain
            or (what.startswith("*.") and (domain == what[2:] or domain.endswith(what[1:])))
        ]
        return max(fits, key=lambda what: (not what.startswith("*"), len(what)), default="")

    def _said(self, what: str) -> Decision:
        return Decision(self.rules[what], f"{what}={self.rules[what]}")


def _is_domain(what: str) -> bool:
    return "." in what or ":" in what or what == "localhost"
