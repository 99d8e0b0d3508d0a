"""Families that look things up and keep them: web search, notes, remember, recall.

A searching family takes two steps: it prints what the search returns, then answers from it. Only
the world (pages, notes) and the two steps are made here; what the search prints is not.
"""

from __future__ import annotations

import random

from serving.tiny.example import Example, Expect, Step, WebPage
from serving.tiny.families.note_facts import NOTE_BY_KEY, NOTE_BY_NAME, NOTES
from serving.tiny.families.note_names import NOTE_NAMES, SUBJECTS
from serving.tiny.families.own_facts import OWN_BY_KEY, OWN_FACTS, RECALL
from serving.tiny.families.relation import Relation
from serving.tiny.families.remember_facts import REMEMBER, STATEMENTS, third_person
from serving.tiny.families.values import value
from serving.tiny.families.web_facts import TOPICS, WEB, WEB_BY_KEY, WEB_BY_TOPIC
from serving.tiny.families.words import ADJECTIVES, FIRST_NAMES, NOUNS, made_up
from serving.tiny.families.writing import literal, phrase
from serving.tiny.phrasings import Family, Phrasings, Templates, vary

NOTHING_ON_WEB = "I found nothing about that on the web."
NOTHING_IN_NOTES = "I found nothing about that in your notes."
_NOTHING_SHARE = 0.04

_FILLERS = (
    "Read more on this page.",
    "Updated last week.",
    "All facts and figures at a glance.",
    "See the full article for details.",
    "This page was last edited in May.",
    "Photos, maps and news.",
    "Learn more about its history.",
)
_TITLES = ("{e}", "{e} - Wikipedia", "{e}: facts", "About {e}", "{e} | Guide", "All about {e}")
_QUOTED = {"book", "film", "song", "painting"}


def _state(rng: random.Random, relation: Relation, entity: str, answer: str) -> str:
    sentence = rng.choice(relation.says).replace("{e}", entity).replace("{v}", answer)
    return sentence[0].upper() + sentence[1:]


class _Subject:
    """What a web question is about: its bare name, and as it stands in a sentence."""

    def __init__(self, rng: random.Random, topic: str) -> None:
        make, article = TOPICS[topic]
        self.topic = topic
        self.name = make(rng)
        self.phrase = f"the {self.name}" if article else self.name


def _chatter(rng: random.Random) -> str:
    text = phrase(rng, marks=False)
    return f"{text[0].upper()}{text[1:]}."


def _page(rng: random.Random, subject: _Subject, sentences: list[str]) -> WebPage:
    if rng.random() < 0.35:
        filler = rng.choice(_FILLERS) if rng.random() < 0.5 else _chatter(rng)
        sentences = [*sentences, filler]
        if rng.random() < 0.4:
            sentences = [sentences[-1], *sentences[:-1]]
    slug = subject.name.replace(" ", "_")
    host = "en.wikipedia.org/wiki" if rng.random() < 0.4 else f"{made_up(rng, 1, 2)}.example"
    return WebPage(
        rng.choice(_TITLES).replace("{e}", subject.name),
        f"https://{host}/{slug}",
        " ".join(sentences),
    )


def _web(rng: random.Random, relation: Relation, subject: _Subject) -> tuple[list[WebPage], str]:
    """(pages, the answer). Only one sentence gives this fact."""
    answer = value(rng, relation.value)
    found = _state(rng, relation, subject.phrase, answer)
    others = [r for r in WEB_BY_TOPIC[subject.topic] if r.key != relation.key]
    rng.shuffle(others)
    sentences = [found]
    while others and len(sentences) < 3 and rng.random() < 0.45:
        other = others.pop()
        sentence = _state(rng, other, subject.phrase, value(rng, other.value))
        sentences.insert(rng.randint(0, len(sentences)), sentence)
    pages = [_page(rng, subject, sentences)]
    for _ in range(rng.choice((0, 1, 1, 2, 2, 3))):
        if others and rng.random() < 0.35:
            other = others.pop()
            texts = [_state(rng, other, subject.phrase, value(rng, other.value))]
            page = _page(rng, subject, texts)
        else:
            page = _distractor(rng, relation, subject)
        pages.insert(rng.randint(0, len(pages)), page)
    return pages, answer


def _distractor(rng: random.Random, relation: Relation, subject: _Subject) -> WebPage:
    """A page on another subject of the same topic, mostly with the very fact asked for."""
    rival = _Subject(rng, subject.topic)
    while rival.name == subject.name:
        rival = _Subject(rng, subject.topic)
    about = relation if rng.random() < 0.75 else rng.choice(WEB_BY_TOPIC[subject.topic])
    return _page(rng, rival, [_state(rng, about, rival.phrase, value(rng, about.value))])


def web_search(rng: random.Random, phrasings: Phrasings) -> Example:
    """A question of fact, answered from the results of one web search."""
    key, template = phrasings.pick_kind(rng, "web_search", WEB)
    relation = WEB_BY_KEY[key]
    subject = _Subject(rng, rng.choice(relation.topics))
    quoted = "'{e}'" in template or '"{e}"' in template
    task = template.replace("{e}", subject.name if quoted else subject.phrase)
    if quoted and subject.topic not in _QUOTED:
        task = template.replace("'{e}'", subject.phrase)
    query = f"{subject.name} {key}"
    first = Step("I search the web.", f"print(web_search({literal(query)}))")
    if rng.random() < _NOTHING_SHARE:
        pages: list[WebPage] = []
        answer = NOTHING_ON_WEB
        thinking = "There are no results."
    else:
        pages, answer = _web(rng, relation, subject)
        # The value at once: the start of a sentence does not yet say what it is about.
        thinking = f"{query}: {answer}"
    second = Step(thinking, f"final_answer({literal(answer)})")
    expect = Expect("text", answer)
    return Example("web_search", template, vary(rng, task), expect, [first, second], web=pages)


def _subject_of(rng: random.Random, note: str) -> str:
    subjects = SUBJECTS[note]
    return value(rng, subjects) if isinstance(subjects, str) else rng.choice(subjects)


def _line(rng: random.Random, item: Relation, subject: str) -> tuple[str, str]:
    answer = value(rng, item.value)
    return _state(rng, item, subject, answer), answer


def _note(rng: random.Random, name: str, lines: list[str]) -> str:
    bullet = rng.choice(("- ", "- ", "* ", ""))
    text = "\n".join(bullet + line for line in lines) + "\n"
    if rng.random() < 0.5:
        heading = name.split(".")[0].replace("-", " ").capitalize()
        return f"# {heading}\n\n{text}"
    return text


def _searched(key: str, found: str, answer: str) -> list[Step]:
    """Search the notes for `key`, then answer from the line that was found."""
    first = Step("I search the notes.", f"print(search_notes({literal(key)}))")
    if not found:
        code = f"final_answer({literal(NOTHING_IN_NOTES)})"
        return [first, Step("There are no notes about that.", code)]
    return [first, Step(f"The notes say: {found}", f"final_answer({literal(answer)})")]


def notes_search(rng: random.Random, phrasings: Phrasings) -> Example:
    """A question that one line of the user's notes answers."""
    template_key, template = phrasings.pick_kind(rng, "notes_search", NOTES)
    item = NOTE_BY_KEY[template_key]
    note = item.topics[0]
    subject = _subject_of(rng, note)
    task = vary(rng, template.replace("{e}", subject))
    key = item.key.replace("{e}", subject)
    if rng.random() < _NOTHING_SHARE:
        steps = _searched(key, "", "")
        return Example("notes_search", template, task, Expect("text", NOTHING_IN_NOTES), steps)
    found, answer = _line(rng, item, subject)
    lines = [found]
    for other in rng.sample(NOTE_BY_NAME[note], min(len(NOTE_BY_NAME[note]), rng.randint(1, 4))):
        about = subject if other is not item and rng.random() < 0.3 else _subject_of(rng, note)
        if other is not item or ("{e}" in item.key and about != subject):
            lines.insert(rng.randint(0, len(lines)), _line(rng, other, about)[0])
    name = rng.choice(NOTE_NAMES[note])
    notes = {name: _note(rng, name, lines)}
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        extra = rng.choice([other for other in SUBJECTS if other != note])
        some = rng.sample(NOTE_BY_NAME[extra], rng.randint(1, 2))
        name = rng.choice(NOTE_NAMES[extra])
        texts = [_line(rng, other, _subject_of(rng, extra))[0] for other in some]
        notes[name] = _note(rng, name, texts)
    steps = _searched(key, found, answer)
    return Example("notes_search", template, task, Expect("text", answer), steps, notes=notes)


def _kept(rng: random.Random, fact: Relation) -> tuple[str, str]:
    """(the fact as the notes keep it, its value)."""
    answer = value(rng, fact.value)
    return third_person(fact.says[0]).replace("{v}", answer), answer


def recall(rng: random.Random, phrasings: Phrasings) -> Example:
    """A question about what the user once asked to be remembered."""
    key, template = phrasings.pick_kind(rng, "recall", RECALL)
    fact = OWN_BY_KEY[key]
    task = vary(rng, template)
    if rng.random() < _NOTHING_SHARE:
        steps = _searched(key, "", "")
        return Example("recall", template, task, Expect("text", NOTHING_IN_NOTES), steps)
    found, answer = _kept(rng, fact)
    kept = [found]
    for _ in range(rng.choice((0, 1, 2, 3, 4))):
        other = rng.choice(OWN_FACTS)
        text = _kept(rng, other)[0] if rng.random() < 0.6 else third_person(_statement(rng))
        # A second line with the key would make the question ambiguous.
        if not set(key.split()) & set(text.lower().split()):
            kept.insert(rng.randint(0, len(kept)), text)
    lines = [f"- {text} ({_day(rng)})\n" for text in kept]
    steps = _searched(key, found, answer)
    notes = {"remembered.md": "".join(lines)}
    return Example("recall", template, task, Expect("text", answer), steps, notes=notes)


def _day(rng: random.Random) -> str:
    return f"{rng.randint(2024, 2027)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def _statement(rng: random.Random) -> str:
    text, kind = rng.choice(STATEMENTS)
    noun = rng.choice(NOUNS)
    if rng.random() < 0.3:
        noun = f"{rng.choice(ADJECTIVES)} {noun}"
    text = text.replace("{f}", rng.choice(FIRST_NAMES)).replace("{n}", noun)
    return text.replace("{v}", value(rng, kind))


def remember(rng: random.Random, phrasings: Phrasings) -> Example:
    """A fact to be kept, in the third person."""
    template = phrasings.pick(rng, "remember", REMEMBER)
    if rng.random() < 0.4:
        fact = rng.choice(OWN_FACTS)
        statement = fact.says[0].replace("{v}", value(rng, fact.value))
    else:
        statement = _statement(rng)
    capital = statement[0].upper() + statement[1:]
    shown = capital if template.endswith(": {s}") and rng.random() < 0.5 else statement
    task = vary(rng, template.replace("{s}", shown).replace("{S}", capital))
    kept = third_person(statement)
    step = Step("I remember it.", f"final_answer(remember({literal(kept)}))")
    return Example("remember", template, task, Expect("text", f"Remembered: {kept}"), [step])


TEMPLATES: dict[str, Templates] = {
    "web_search": WEB,
    "notes_search": NOTES,
    "remember": REMEMBER,
    "recall": RECALL,
}
FAMILIES: dict[str, Family] = {
    "web_search": web_search,
    "notes_search": notes_search,
    "remember": remember,
    "recall": recall,
}
