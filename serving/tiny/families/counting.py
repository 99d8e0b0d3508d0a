"""Factorials, permutations and combinations; and whole numbers in other bases."""

from __future__ import annotations

import random

from serving.tiny.example import Example, Step
from serving.tiny.families.common import Kind, between, finish, kinds_family, templates_of
from serving.tiny.phrasings import Family, Phrasings, Templates


def _falling(n: int, k: int) -> int:
    """n (n-1) … (n-k+1)."""
    product = 1
    for factor in range(n - k + 1, n + 1):
        product *= factor
    return product


def _choose(rng: random.Random) -> dict[str, str]:
    n = rng.choice((rng.randint(5, 20), rng.randint(5, 60), rng.randint(20, 400)))
    return {"n": str(n), "k": str(rng.randint(2, min(n - 1, 30)))}


def _ratio(rng: random.Random) -> dict[str, str]:
    n = rng.randint(8, 150)
    return {"n": str(n), "k": str(rng.randint(max(3, n - 30), n - 1))}


COUNTING = {
    "factorial": Kind(
        "Factorial of {n}.",
        "import math\nfinal_answer(math.factorial({n}))",
        lambda n: _falling(int(n), int(n)),
        lambda rng: {"n": between(rng, 3, rng.choice((20, 60)))},
        (
            "What is {n}!?",
            "What is {n} factorial?",
            "How much is {n} factorial?",
            "Compute {n}!",
            "What is the value of {n} factorial?",
            "Tell me the factorial of {n}.",
            "Compute the factorial of {n}.",
            "Calculate {n}!",
            "What is the factorial of {n}?",
            "Find {n} factorial.",
            "Give me the value of {n}!",
            "Work out {n} factorial.",
            "What number is {n}!?",
            "How much is {n}!?",
            "What is the value of {n}!?",
            "Tell me the value of {n}!",
        ),
    ),
    "arrange": Kind(
        "Ways to arrange {n} things: the factorial of {n}.",
        "import math\nfinal_answer(math.factorial({n}))",
        lambda n: _falling(int(n), int(n)),
        lambda rng: {"n": between(rng, 3, rng.choice((20, 60)))},
        (
            "In how many ways can {n} {item} be arranged in a row?",
            "How many ways are there to arrange {n} {item} in a row?",
            "How many ways are there to order {n} people in a line?",
            "In how many orders can {n} people stand in a line?",
            "How many arrangements of {n} different {item} are there?",
            "In how many ways can {n} different {item} be put in order?",
            "How many orders are there for {n} different {item}?",
        ),
    ),
    "choose": Kind(
        "Combinations: choose {k} of {n}, order does not matter.",
        "import math\nfinal_answer(math.comb({n}, {k}))",
        lambda n, k: _falling(int(n), int(k)) // _falling(int(k), int(k)),
        _choose,
        (
            "How many ways are there to choose {k} {item} from {n}?",
            "In how many ways can you choose {k} out of {n} {item}?",
            "What is {n} choose {k}?",
            "Compute {n} choose {k}.",
            "How many combinations of {k} out of {n} are there?",
            "How many combinations of {n} things taken {k} at a time are there?",
            "Calculate the binomial coefficient of {n} and {k}.",
            "What is the binomial coefficient C({n}, {k})?",
            "Find the number of ways to pick {k} people from {n}.",
            "How many committees of {k} can be formed from {n} people?",
            "How many teams of {k} players can be picked from {n} players?",
            "How many different hands of {k} cards can be picked from {n} cards?",
            "What is C({n}, {k})?",
            "How many subsets of size {k} does a set of {n} have?",
            "In how many ways can {name} pick {k} {item} out of {n}?",
            "How many groups of {k} people can be formed from {n} people?",
            "How many committees of {k} members can be picked from {n} members?",
            "How many teams of {k} can be chosen from {n} players?",
            "How many different groups of {k} can be picked from {n} players?",
            "How many subsets of {k} elements does a set of {n} elements have?",
            "How many subsets with {k} members does a set with {n} members have?",
            "A set has {n} elements. How many subsets of size {k} are there?",
            "Calculate the number of combinations C({n}, {k}).",
        ),
    ),
    "permute": Kind(
        "Permutations: {k} of {n} in order.",
        "import math\nfinal_answer(math.perm({n}, {k}))",
        lambda n, k: _falling(int(n), int(k)),
        _choose,
        (
            "How many permutations of {k} out of {n} are there?",
            "How many ordered ways are there to pick {k} from {n} {item}?",
            "Compute the number of permutations of {k} out of {n}.",
            "How many permutations of {n} things taken {k} at a time are there?",
            "What is P({n}, {k})?",
            "Calculate the number of permutations P({n}, {k}).",
            "How many ordered selections of {k} from {n} {item} are there?",
            "In how many ways can {k} of {n} {item} be arranged in a row?",
            "How many ways are there to arrange {k} out of {n} people in a line?",
            "In how many ways can you choose {k} out of {n} people if order matters?",
            "How many ways are there to pick {k} from {n} when the order matters?",
            "In how many ordered ways can you choose {k} from {n}?",
            "Find the number of permutations of {k} from {n} {item}.",
            "Compute the number of permutations P({n}, {k}).",
            "Compute P({n}, {k}).",
            "Find P({n}, {k}), the number of permutations.",
            "Calculate P({n}, {k}).",
        ),
    ),
    "ratio": Kind(
        "Factorials: {n} factorial over {k} factorial.",
        "import math\nfinal_answer(math.factorial({n}) // math.factorial({k}))",
        lambda n, k: _falling(int(n), int(n) - int(k)),
        _ratio,
        (
            "What is {n}! / {k}!?",
            "Work out {n}! / {k}!.",
            "Compute {n} factorial divided by {k} factorial.",
            "How much is {n} factorial over {k} factorial?",
            "What do you get when you divide {n}! by {k}!?",
            "Compute {n}! divided by {k}!.",
            "What is {n} factorial divided by {k} factorial?",
            "Calculate {n}!/{k}!.",
            "Divide {n} factorial by {k} factorial.",
            "How much is {n}! over {k}!?",
            "Find the quotient of {n}! and {k}!.",
            "How much is {n}! / {k}!?",
            "What is {n}! over {k}!?",
            "What is {n}! divided by {k}!?",
            "Calculate {n}! over {k}!.",
            "Find {n}! / {k}!.",
        ),
    ),
    "last": Kind(
        "Factorial of {n}: count its digits.",
        "import math\nfinal_answer(len(str(math.factorial({n}))))",
        lambda n: len(f"{_falling(int(n), int(n))}"),
        lambda rng: {"n": between(rng, 10, 400)},
        (
            "How many digits does {n}! have?",
            "Count the digits of {n} factorial.",
            "How many digits are in {n}!?",
            "How many digits does {n} factorial have?",
            "Count the digits of {n}!.",
            "What is the number of digits in {n} factorial?",
            "Find the number of digits of {n}!.",
            "How many digits are in the factorial of {n}?",
            "Count the digits in the factorial of {n}.",
        ),
    ),
}

BASE_NAMES = {
    2: ("binary", "base 2"),
    8: ("octal", "base 8"),
    16: ("hexadecimal", "hex", "base 16"),
}
BASES: dict[str, tuple[str, ...]] = {
    "to": (
        "Convert {x} to {v}.",
        "What is {x} in {v}?",
        "Write {x} in {v}.",
        "How is {x} written in {v}?",
        "Express {x} in {v}.",
        "Convert the number {x} to {v}.",
        "Convert the decimal number {x} to {v}.",
        "What is the decimal number {x} in {v}?",
        "Write the decimal number {x} in {v}.",
        "Give {x} in {v}.",
        "Turn {x} into {v}.",
        "Change {x} from decimal to {v}.",
        "Convert {x} from decimal to {v}.",
        "What does {x} look like in {v}?",
        "Show me {x} in {v}.",
        "Compute {x} in {v}.",
        "I need {x} in {v}.",
        "What are the {v} digits of {x}?",
        "Translate the number {x} into {v}.",
    ),
    "from": (
        "Convert the {u} number {x} to decimal.",
        "Convert {x} from {u} to decimal.",
        "What is {x} in decimal, if it is {u}?",
        "What is the {u} number {x} in decimal?",
        "What decimal number is {x} in {u}?",
        "Write the {u} number {x} in decimal.",
        "Change {x} from {u} to decimal.",
        "Which decimal number is written {x} in {u}?",
        "Give the decimal value of {x} in {u}.",
        "What is the decimal value of the {u} number {x}?",
        "Find the decimal value of {x}, which is {u}.",
        "Turn the {u} number {x} into decimal.",
        "Translate {x} from {u} into decimal.",
        "The number {x} is {u}. What is it in decimal?",
        "Express the {u} number {x} in decimal.",
        "What is {x} from {u} in decimal?",
        "I have the {u} number {x}. What is it in decimal?",
        "Compute the decimal value of {x} in {u}.",
        "Read {x} as {u} and give the decimal value.",
    ),
    "between": (
        "Convert the {u} number {x} to {v}.",
        "Convert {x} from {u} to {v}.",
        "What is the {u} number {x} in {v}?",
        "Write the {u} number {x} in {v}.",
        "Change {x} from {u} to {v}.",
        "Turn the {u} number {x} into {v}.",
        "Translate {x} from {u} into {v}.",
        "Express the {u} number {x} in {v}.",
        "The number {x} is {u}. What is it in {v}?",
        "How is the {u} number {x} written in {v}?",
        "Give the {u} number {x} in {v}.",
        "What does the {u} number {x} look like in {v}?",
        "Show me the {u} number {x} in {v}.",
        "I have the {u} number {x}. What is it in {v}?",
        "Convert {x} in {u} to {v}.",
        "What is {x} from {u} in {v}?",
        "Take {x} in {u} and write it in {v}.",
    ),
}
_LETTER = {2: "b", 8: "o", 16: "x"}


def in_base(value: int, base: int) -> str:
    """The digits of a positive whole number in a base up to 16, by repeated division."""
    digits = ""
    while value:
        value, digit = divmod(value, base)
        digits = "0123456789abcdef"[digit] + digits
    return digits


def base_conversion(rng: random.Random, phrasings: Phrasings) -> Example:
    """Binary, octal, decimal and hexadecimal, both ways; other bases to decimal only."""
    name = "base_conversion"
    kind, template = phrasings.pick_kind(rng, name, BASES)
    value = rng.randint(4, 2 ** rng.randint(4, 16))
    target = rng.choice((2, 8, 16))
    target_name = rng.choice(BASE_NAMES[target])
    if kind == "to":
        step = Step(
            f"Base conversion: decimal to base {target}.",
            f'final_answer(format({value}, "{_LETTER[target]}"))',
        )
        slots = {"x": str(value), "v": target_name}
        return finish(rng, name, template, slots, step, in_base(value, target))
    source = rng.choice((2, 8, 16, 16, 2, rng.choice((3, 4, 5, 6, 7, 9))))
    if kind == "between":
        source = rng.choice([base for base in (2, 8, 16) if base != target])
    source_name = rng.choice(BASE_NAMES.get(source, (f"base {source}",)))
    digits = in_base(value, source)
    if source == 16 and rng.random() < 0.4:
        digits = digits.upper()
    slots = {"x": digits, "u": source_name, "v": target_name}
    if kind == "from":
        thinking = f"Base conversion: base {source} to decimal."
        step = Step(thinking, f'final_answer(int("{digits}", {source}))')
        return finish(rng, name, template, slots, step, value)
    step = Step(
        f"Base conversion: base {source} to base {target}.",
        f'final_answer(format(int("{digits}", {source}), "{_LETTER[target]}"))',
    )
    return finish(rng, name, template, slots, step, in_base(value, target))


TEMPLATES: dict[str, Templates] = {
    "factorial_combinations": templates_of(COUNTING),
    "base_conversion": BASES,
}
FAMILIES: dict[str, Family] = {
    "factorial_combinations": kinds_family("factorial_combinations", COUNTING),
    "base_conversion": base_conversion,
}
