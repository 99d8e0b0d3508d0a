"""Families that work on a quoted text: reverse, count, sort, change case, anagrams, palindromes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from serving.tiny.example import Example, Expect, Step
from serving.tiny.families import count_templates, text_templates
from serving.tiny.families.words import NOUNS, WORDS, made_up, split, word
from serving.tiny.families.writing import (
    fill_text,
    listing,
    literal,
    literals,
    open_plainly,
    phrase,
    quote,
)
from serving.tiny.phrasings import Family, Phrasings, Templates, vary

Operation = tuple[str, str, Callable[[str], Any]]
"""What is thought, the code after `text = …`, and the same operation on the text here."""

_REVERSE: dict[str, Operation] = {
    "letters": ("I reverse the text.", "final_answer(text[::-1])", lambda t: t[::-1]),
    "words": (
        "I reverse the order of the words.",
        'final_answer(" ".join(text.split()[::-1]))',
        lambda t: " ".join(t.split()[::-1]),
    ),
}

_CASE: dict[str, Operation] = {
    "upper": ("I make it upper case.", "final_answer(text.upper())", str.upper),
    "lower": ("I make it lower case.", "final_answer(text.lower())", str.lower),
    "swap": ("I swap the case.", "final_answer(text.swapcase())", str.swapcase),
    "first": (
        "I capitalize the first letter only.",
        "final_answer(text.capitalize())",
        str.capitalize,
    ),
    "title": (
        "I capitalize each word.",
        'final_answer(" ".join(w.capitalize() for w in text.split()))',
        lambda t: " ".join(w.capitalize() for w in t.split()),
    ),
}

_COUNT: dict[str, Operation] = {
    "letters": (
        "I count the letters.",
        "final_answer(sum(c.isalpha() for c in text))",
        lambda t: sum(c.isalpha() for c in t),
    ),
    "words": ("I count the words.", "final_answer(len(text.split()))", lambda t: len(t.split())),
    "vowels": (
        "I count the vowels.",
        'final_answer(sum(c in "aeiou" for c in text.lower()))',
        lambda t: sum(c in "aeiou" for c in t.lower()),
    ),
    "consonants": (
        "I count the consonants.",
        'final_answer(sum(c.isalpha() and c not in "aeiou" for c in text.lower()))',
        lambda t: sum(c.isalpha() and c not in "aeiou" for c in t.lower()),
    ),
    "characters": ("I count all characters.", "final_answer(len(text))", len),
    "capitals": (
        "I count the capital letters.",
        "final_answer(sum(c.isupper() for c in text))",
        lambda t: sum(c.isupper() for c in t),
    ),
}


def _apply(operation: Operation, text: str) -> tuple[Step, Any]:
    thinking, code, compute = operation
    return Step(thinking, f"text = {literal(text)}\n{code}"), compute(text)


def text_reverse(rng: random.Random, phrasings: Phrasings) -> Example:
    """Reverse a text, letter by letter or word by word."""
    kind, template = phrasings.pick_kind(rng, "text_reverse", text_templates.REVERSE)
    task, text = fill_text(rng, template)
    step, value = _apply(_REVERSE[kind], text)
    return Example("text_reverse", template, task, Expect("text", value), [step])


def text_case(rng: random.Random, phrasings: Phrasings) -> Example:
    """Change the case of a text."""
    kind, template = phrasings.pick_kind(rng, "text_case", text_templates.CASE)
    mixed = kind in ("lower", "swap", "first") or rng.random() < 0.15
    task, text = fill_text(rng, template, (lambda t: _mixed_case(rng, t)) if mixed else None)
    step, value = _apply(_CASE[kind], text)
    return Example("text_case", template, task, Expect("text", value), [step])


def _mixed_case(rng: random.Random, text: str) -> str:
    if rng.random() < 0.4:
        return "".join(rng.choice((c.lower(), c.upper())) for c in text)
    return rng.choice((str.upper, str.title, str.capitalize, str.swapcase))(text)


def text_count(rng: random.Random, phrasings: Phrasings) -> Example:
    """Count letters, one letter, words, one word, vowels, consonants, characters or capitals."""
    kind, template = phrasings.pick_kind(rng, "text_count", count_templates.COUNT)
    if kind == "letter":
        return _count_letter(rng, template)
    if kind == "word":
        return _count_word(rng, template)
    change = rng.choice((str.title, str.swapcase)) if kind == "capitals" else None
    task, text = fill_text(rng, template, change)
    step, value = _apply(_COUNT[kind], text)
    return Example("text_count", template, task, Expect("number", value), [step])


def _count_letter(rng: random.Random, template: str) -> Example:
    slot = "{w}" if "{w}" in template else "{x}"
    text = word(rng) if slot == "{w}" or rng.random() < 0.6 else phrase(rng)
    letters = [c for c in text if c.isalpha()]
    letter = rng.choice(letters) if rng.random() < 0.9 else rng.choice("aeimnorstuz")
    bare = " " not in text and rng.random() < 0.3
    shown = text if bare else quote(rng, text)
    mark = letter
    if "{c}'s" not in template and "{c}s" not in template and rng.random() < 0.5:
        mark = quote(rng, letter)
    task = vary(rng, template.replace("{c}", mark).replace(slot, shown))
    code = f"text = {literal(text)}\nfinal_answer(text.lower().count({literal(letter.lower())}))"
    value = text.lower().count(letter.lower())
    step = Step(f"I count the letter {letter.lower()}.", code)
    return Example("text_count", template, task, Expect("number", value), [step])


def _count_word(rng: random.Random, template: str) -> Example:
    wanted = rng.choice(("the", "a", rng.choice(NOUNS), rng.choice(WORDS)))
    words = phrase(rng, marks=False).split()
    for _ in range(rng.choice((0, 1, 1, 2, 2, 3))):
        words.insert(rng.randint(0, len(words)), wanted)
    text = " ".join(words)
    mark = quote(rng, wanted) if rng.random() < 0.8 else wanted
    task = vary(rng, template.replace("{c}", mark).replace("{s}", quote(rng, text)))
    code = f"text = {literal(text)}\nfinal_answer(text.lower().split().count({literal(wanted)}))"
    value = text.lower().split().count(wanted)
    step = Step(f'I count the word "{wanted}".', code)
    return Example("text_count", template, task, Expect("number", value), [step])


_SORT: dict[str, tuple[str, str, Callable[[list[Any]], list[Any]]]] = {
    "az": (
        "I sort the words alphabetically.",
        "sorted(words, key=str.lower)",
        lambda w: sorted(w, key=str.lower),
    ),
    "za": (
        "I sort the words from Z to A.",
        "sorted(words, key=str.lower, reverse=True)",
        lambda w: sorted(w, key=str.lower, reverse=True),
    ),
    "shortest": (
        "I sort the words by length.",
        "sorted(words, key=len)",
        lambda w: sorted(w, key=len),
    ),
    "longest": (
        "I sort the words by length, longest first.",
        "sorted(words, key=len, reverse=True)",
        lambda w: sorted(w, key=len, reverse=True),
    ),
    "up": ("I sort the numbers.", "sorted(numbers)", sorted),
    "down": (
        "I sort the numbers, largest first.",
        "sorted(numbers, reverse=True)",
        lambda n: sorted(n, reverse=True),
    ),
}


def text_sort(rng: random.Random, phrasings: Phrasings) -> Example:
    """Sort words (alphabet, length), the letters of a word, or numbers."""
    kind, template = phrasings.pick_kind(rng, "text_sort", count_templates.SORT)
    if kind == "letters":
        task, text = fill_text(rng, template)
        value = "".join(sorted(text.lower()))
        code = f'text = {literal(text)}\nfinal_answer("".join(sorted(text.lower())))'
        step = Step("I sort the letters.", code)
        return Example("text_sort", template, task, Expect("text", value), [step])
    thinking, call, compute = _SORT[kind]
    numeric = kind in ("up", "down")
    if numeric:
        shown = [str(number) for number in _numbers(rng)]
        items: list[Any] = [float(n) if "." in n else int(n) for n in shown]
        code = f"numbers = [{', '.join(shown)}]"
    else:
        items = shown = _several_words(rng)
        code = f"words = {literals(shown)}"
    at_end = template.endswith((": {l}", ": {n}"))
    text = _plain_list(rng, shown) if numeric else listing(rng, shown, at_end)
    task = template.replace("{n}" if numeric else "{l}", text)
    # Words after a colon end the task: a "?" or "Thanks!" behind them would look like one more.
    task = open_plainly(rng, task) if at_end else vary(rng, task)
    step = Step(thinking, f"{code}\nfinal_answer({call})")
    return Example("text_sort", template, task, Expect("list", compute(items)), [step])


def _several_words(rng: random.Random) -> list[str]:
    count = rng.randint(3, 7)
    words = dict.fromkeys(word(rng) for _ in range(count))
    style = rng.random()
    if style < 0.15:
        return [w.capitalize() for w in words]
    return list(words)


def _numbers(rng: random.Random) -> list[int | float]:
    count = rng.randint(3, 8)
    roll = rng.random()
    if roll < 0.55:
        return rng.sample(range(rng.choice((20, 100, 1000, 50_000))), count)
    if roll < 0.75:
        return [rng.randint(-50, 50) for _ in range(count)]
    return [round(rng.uniform(-5, 100), rng.choice((1, 2))) for _ in range(count)]


def _plain_list(rng: random.Random, items: list[str]) -> str:
    roll = rng.random()
    if roll < 0.5:
        return ", ".join(items)
    if roll < 0.7:
        return ", ".join(items[:-1]) + " and " + items[-1]
    if roll < 0.85:
        return " ".join(items)
    return "[" + ", ".join(items) + "]"


_ANAGRAM_PAIRS = tuple(
    tuple(pair.split("/"))
    for pair in split(
        "listen/silent heart/earth night/thing dusty/study elbow/below stressed/desserts"
        " evil/vile stop/pots cider/cried angel/glean state/taste brag/grab cat/act"
        " inch/chin save/vase arc/car dog/god peach/cheap lemon/melon bored/robed"
        " secure/rescue tea/eat friend/finder actor/taroc thorn/north petal/plate"
        " teacher/cheater sister/resist section/notices players/parsley ocean/canoe"
        " gallery/largely rats/star live/evil more/Rome item/time note/tone words/sword"
    )
)


def anagram(rng: random.Random, phrasings: Phrasings) -> Example:
    """Are two words anagrams of each other?"""
    template = phrasings.pick(rng, "anagram", text_templates.ANAGRAM)
    first, second = _anagram_pair(rng)
    if rng.random() < 0.15:
        first, second = first.capitalize(), second.capitalize()
    bare = rng.random() < 0.35 and " " not in first + second
    task = template
    for slot, text in (("{a}", first), ("{b}", second)):
        task = task.replace(slot, text if bare else quote(rng, text))
    value = "yes" if _letters_of(first) == _letters_of(second) else "no"
    code = (
        f"a = {literal(first)}\nb = {literal(second)}\n"
        'same = sorted(a.lower().replace(" ", "")) == sorted(b.lower().replace(" ", ""))\n'
        'final_answer("yes" if same else "no")'
    )
    step = Step("I compare the sorted letters.", code)
    return Example("anagram", template, vary(rng, task), Expect("text", value), [step])


def _letters_of(text: str) -> list[str]:
    return sorted(text.lower().replace(" ", ""))


def _anagram_pair(rng: random.Random) -> tuple[str, str]:
    roll = rng.random()
    if roll < 0.12:
        first, second = rng.choice(_ANAGRAM_PAIRS)
        return (first, second) if rng.random() < 0.5 else (second, first)
    first = word(rng) if rng.random() < 0.92 else f"{word(rng)} {word(rng)}"
    if roll < 0.30:
        return first, word(rng)
    letters = list(first.replace(" ", ""))
    rng.shuffle(letters)
    if roll > 0.68:
        place = rng.randrange(len(letters))
        letters[place] = rng.choice("abcdefghilmnoprstuwy")
    return first, "".join(letters)


_PALINDROMES = split(
    "level radar noon civic rotor kayak madam refer stats tenet racecar deified rotator reviver"
    " minim solos wow mom dad eye pop deed peep sagas repaper redder Anna Hannah Otto bob"
)
_LONG_PALINDROMES = (
    "A man, a plan, a canal: Panama",
    "Never odd or even",
    "Was it a car or a cat I saw?",
    "Madam, I'm Adam",
    "No lemon, no melon",
    "Do geese see God?",
    "Step on no pets",
    "Mr. Owl ate my metal worm",
    "Eva, can I see bees in a cave?",
    "Was it a rat I saw?",
    "nurses run",
    "taco cat",
    "top spot",
    "Evil olive",
    "Won't lovers revolt now?",
    "Live on time, emit no evil",
)


def palindrome(rng: random.Random, phrasings: Phrasings) -> Example:
    """Does a word, a number or a phrase read the same backwards?"""
    template = phrasings.pick(rng, "palindrome", text_templates.PALINDROME)
    slot = next(slot for slot in ("{w}", "{s}", "{x}") if slot in template)
    several = slot == "{s}" or (slot == "{x}" and rng.random() < 0.3)
    text = _palindrome_phrase(rng) if several else _palindrome_word(rng, slot == "{x}")
    shown = text if " " not in text and rng.random() < 0.35 else quote(rng, text)
    task = vary(rng, template.replace(slot, shown))
    letters = [c for c in text.lower() if c.isalnum()]
    value = "yes" if letters == letters[::-1] else "no"
    code = (
        f"text = {literal(text)}\nletters = [c for c in text.lower() if c.isalnum()]\n"
        'final_answer("yes" if letters == letters[::-1] else "no")'
    )
    step = Step("I compare the letters with their reverse.", code)
    return Example("palindrome", template, task, Expect("text", value), [step])


def _palindrome_word(rng: random.Random, number_too: bool) -> str:
    roll = rng.random()
    if number_too and roll < 0.12:
        half = str(rng.randint(1, 999))
        return half + half[::-1] if rng.random() < 0.5 else half + str(rng.randint(0, 99))
    if roll < 0.30:
        return rng.choice(_PALINDROMES)
    if roll < 0.60:
        return word(rng)
    half = made_up(rng, 1, 2)
    text = half + half[::-1] if rng.random() < 0.4 else half + half[-2::-1]
    if rng.random() < 0.25:
        text = text[:-1] + rng.choice("abdeklmnorst")
    return text


def _palindrome_phrase(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.35:
        return rng.choice(_LONG_PALINDROMES)
    if roll < 0.70:
        return phrase(rng)
    first = word(rng)
    return f"{first} {first[::-1]}" if rng.random() < 0.7 else f"{first} {word(rng)[::-1]}"


TEMPLATES: dict[str, Templates] = {
    "text_reverse": text_templates.REVERSE,
    "text_count": count_templates.COUNT,
    "text_sort": count_templates.SORT,
    "text_case": text_templates.CASE,
    "anagram": text_templates.ANAGRAM,
    "palindrome": text_templates.PALINDROME,
}
FAMILIES: dict[str, Family] = {
    "text_reverse": text_reverse,
    "text_count": text_count,
    "text_sort": text_sort,
    "text_case": text_case,
    "anagram": anagram,
    "palindrome": palindrome,
}
