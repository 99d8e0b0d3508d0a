"""Small equations for SymPy: linear, quadratic, and two linear ones in two unknowns.

The solution is drawn first and the equation made from it, so the expected answer is known apart
from the code.
"""

from __future__ import annotations

import random
from fractions import Fraction

from serving.tiny.example import Example, Step
from serving.tiny.families.common import finish
from serving.tiny.phrasings import Family, Phrasings, Templates

SOLVE = (
    "Solve {q}.",
    "Solve {q} for {v}.",
    "Solve the equation {q}.",
    "Solve the equation {q} for {v}.",
    "Solve for {v}: {q}",
    "Solve this equation: {q}",
    "What is {v} if {q}?",
    "What is {v} in {q}?",
    "What is the value of {v} when {q}?",
    "If {q}, what is {v}?",
    "If {q}, find {v}.",
    "Given {q}, what is {v}?",
    "Given that {q}, find the value of {v}.",
    "Find {v} if {q}.",
    "Find {v}: {q}",
    "Find {v} such that {q}.",
    "Find the value of {v} in the equation {q}.",
    "Find the solution of {q}.",
    "What is the solution of {q}?",
    "Which value of {v} satisfies {q}?",
    "Which {v} solves the equation {q}?",
    "For which {v} is {q}?",
    "Determine {v} from {q}.",
    "Determine the value of {v} if {q}.",
    "Calculate {v}: {q}",
    "Work out {v} when {q}.",
    "Compute the solution of the equation {q}.",
    "I have the equation {q}. What is {v}?",
    "Let {q}. What is {v}?",
    "{q}, so what is {v}?",
    "{q}. Solve for {v}.",
    "Tell me {v} if {q}.",
)
EQUATIONS: dict[str, tuple[str, ...]] = {
    "linear": SOLVE,
    "quadratic": (
        "Solve {q}.",
        "Solve {q} for {v}.",
        "Solve the quadratic equation {q}.",
        "Solve the equation {q} for {v}.",
        "Solve for {v}: {q}",
        "Find the roots of {q}.",
        "Find the roots of the quadratic equation {q}.",
        "What are the roots of {q}?",
        "What are the solutions of {q}?",
        "Find all solutions of {q}.",
        "Find the solutions of the equation {q}.",
        "Which values of {v} satisfy {q}?",
        "For which values of {v} is {q}?",
        "Find all {v} such that {q}.",
        "What values can {v} have if {q}?",
        "Determine the roots of {q}.",
        "Compute the solutions of the quadratic {q}.",
        "Calculate the roots of the equation {q}.",
        "Give both solutions of {q}.",
        "If {q}, which values can {v} have?",
        "I have the quadratic equation {q}. What are its roots?",
        "Work out all values of {v} when {q}.",
    ),
    "pair": (
        "Solve {q} and {r}.",
        "Solve {q} and {r} for {v} and {w}.",
        "Solve the system {q}, {r}.",
        "Solve the system of equations {q} and {r}.",
        "Solve the equations {q} and {r} for {v} and {w}.",
        "Solve for {v} and {w}: {q}, {r}",
        "Find {v} and {w} if {q} and {r}.",
        "Find {v} and {w} such that {q} and {r}.",
        "What are {v} and {w} if {q} and {r}?",
        "What are {v} and {w} when {q} and {r}?",
        "If {q} and {r}, what are {v} and {w}?",
        "Given {q} and {r}, find {v} and {w}.",
        "Which {v} and {w} satisfy {q} and {r}?",
        "Which {v} and {w} solve the system {q}, {r}?",
        "Determine {v} and {w} from {q} and {r}.",
        "Find the solution of the system {q} and {r}.",
        "I have two equations, {q} and {r}. What are {v} and {w}?",
        "Work out {v} and {w} when {q} and {r}.",
        "Compute the solution of the equations {q} and {r}.",
        "Two unknowns: {q} and {r}. Solve for {v} and {w}.",
    ),
    "number": (
        "{a} times a number plus {b} is {c}. What is the number?",
        "{a} times a number plus {b} equals {c}. Find the number.",
        "If I multiply a number by {a} and add {b}, I get {c}. What is the number?",
        "A number multiplied by {a}, plus {b}, gives {c}. Which number is it?",
        "I think of a number, multiply it by {a} and add {b}. The result is {c}. What is it?",
        "What number times {a} plus {b} makes {c}?",
        "Find the number: {a} times it plus {b} is {c}.",
        "Which number multiplied by {a} and increased by {b} is {c}?",
        "Multiply a number by {a}, add {b}, and the result is {c}. Find the number.",
    ),
    "sum_difference": (
        "The sum of two numbers is {a} and their difference is {b}. What are they?",
        "Two numbers have the sum {a} and the difference {b}. Find them.",
        "Two numbers add up to {a} and differ by {b}. What are the numbers?",
        "Find two numbers with sum {a} and difference {b}.",
        "Find two numbers whose sum is {a} and whose difference is {b}.",
        "What are the two numbers with sum {a} and difference {b}?",
        "Two numbers sum to {a}, and their difference is {b}. What are the two numbers?",
        "Find two numbers that add up to {a} and differ by {b}.",
        "Which two numbers have a sum of {a} and a difference of {b}?",
        "What two numbers add up to {a} with a difference of {b}?",
        "The sum of two numbers is {a}. Their difference is {b}. Find the two numbers.",
    ),
}

_ONE = "from sympy import Eq, solve, symbols\n"


def _term(coefficient: int, name: str, code: bool, first: bool) -> str:
    """One signed term, `name` being empty for the constant: 3x or 3*x, - x, + 5."""
    sign = "-" if coefficient < 0 else "+"
    size = abs(coefficient)
    star = "*" if code else ""
    body = str(size) if not name else name if size == 1 else f"{size}{star}{name}"
    if first:
        return body if sign == "+" else f"-{body}"
    return f" {sign} {body}"


def _side(terms: list[tuple[int, str]], code: bool) -> str:
    """The terms in order, those with coefficient 0 left out; 0 when there are none."""
    text = ""
    for coefficient, name in terms:
        if coefficient:
            text += _term(coefficient, name, code, first=not text)
    return text or "0"


def _equation(left: list[tuple[int, str]], right: list[tuple[int, str]]) -> tuple[str, str]:
    """(as shown, as SymPy code)."""
    shown = f"{_side(left, False)} = {_side(right, False)}"
    return shown, f"Eq({_side(left, True)}, {_side(right, True)})"


def _size(rng: random.Random) -> int:
    return rng.randint(1, rng.choice((9, 20, 99, 400)))


def _signed(rng: random.Random) -> int:
    return _size(rng) * rng.choice((1, -1))


def _linear_code(v: str, equation: str) -> str:
    return f'{_ONE}{v} = symbols("{v}")\nfinal_answer(round(float(solve({equation}, {v})[0]), 6))'


def _linear(rng: random.Random, template: str) -> Example:
    v = rng.choice("xxxxyznatmk")
    a, b, root = rng.choice((_size(rng), rng.randint(2, 12))), _signed(rng), _signed(rng)
    if rng.random() < 0.25:
        slope = rng.choice([n for n in range(-9, 10) if n not in (0, a)])
        right = [(slope, v), (a * root + b - slope * root, "")]
    else:
        right = [(a * root + b if rng.random() < 0.7 else _signed(rng), "")]
    slope = right[0][0] if len(right) == 2 else 0
    shown, code = _equation([(a, v), (b, "")], right)
    value = Fraction(right[-1][0] - b, a - slope)
    step = Step(f"Linear equation in {v}: use SymPy.", _linear_code(v, code))
    return finish(rng, "equations", template, {"q": shown, "v": v}, step, value)


def _quadratic(rng: random.Random, template: str) -> Example:
    v = rng.choice("xxxxyzt")
    top = rng.choice((9, 15, 30))
    first, second = rng.randint(-top, top), rng.randint(-top, top)
    a = rng.choice((1, 1, 1, 2, 3, 4, 5, -1))
    moved = rng.choice((0, 0, rng.randint(1, 50)))
    left = [(a, f"{v}**2"), (-a * (first + second), v), (a * first * second + moved, "")]
    shown, code = _equation(left, [(moved, "")])
    shown = shown.replace("**2", rng.choice(("^2", "^2", "²", "**2")))
    values = sorted({first, second})
    step = Step(
        f"Quadratic equation in {v}: use SymPy.",
        f'{_ONE}{v} = symbols("{v}")\n'
        f"final_answer(sorted(round(float(s), 6) for s in solve({code}, {v})))",
    )
    return finish(rng, "equations", template, {"q": shown, "v": v}, step, values)


def _pair_step(v: str, w: str, first: str, second: str, plan: str) -> Step:
    return Step(
        plan,
        f'{_ONE}{v}, {w} = symbols("{v} {w}")\ns = solve([{first}, {second}], [{v}, {w}])\n'
        f"final_answer([round(float(s[{v}]), 6), round(float(s[{w}]), 6)])",
    )


def _pair(rng: random.Random, template: str) -> Example:
    v, w = rng.choice(("xy", "xy", "xy", "ab", "mn", "pq"))
    top = rng.choice((5, 12, 40))
    x, y = rng.randint(-top, top), rng.randint(-top, top)
    while True:
        a, c = rng.randint(1, 9), rng.randint(1, 9)
        b, d = (rng.choice((-1, 1)) * rng.randint(1, 9) for _ in range(2))
        if a * d != b * c:
            break
    shown, first = _equation([(a, v), (b, w)], [(a * x + b * y, "")])
    other, second = _equation([(c, v), (d, w)], [(c * x + d * y, "")])
    step = _pair_step(v, w, first, second, f"Two equations in {v} and {w}: use SymPy.")
    slots = {"q": shown, "r": other, "v": v, "w": w}
    return finish(rng, "equations", template, slots, step, [x, y])


def _number(rng: random.Random, template: str) -> Example:
    a, b, root = rng.randint(2, 60), _size(rng), _size(rng)
    c = a * root + b
    step = Step("Linear equation in x: use SymPy.", _linear_code("x", f"Eq({a}*x + {b}, {c})"))
    return finish(rng, "equations", template, {"a": str(a), "b": str(b), "c": str(c)}, step, root)


def _sum_difference(rng: random.Random, template: str) -> Example:
    y = _size(rng)
    x = y + _size(rng)
    slots = {"a": str(x + y), "b": str(x - y)}
    first, second = f"Eq(x + y, {x + y})", f"Eq(x - y, {x - y})"
    step = _pair_step("x", "y", first, second, "Two equations in x and y: use SymPy.")
    return finish(rng, "equations", template, slots, step, [x, y])


_MAKERS = {
    "linear": _linear,
    "quadratic": _quadratic,
    "pair": _pair,
    "number": _number,
    "sum_difference": _sum_difference,
}


def equations(rng: random.Random, phrasings: Phrasings) -> Example:
    """A linear or quadratic equation, two equations, or a riddle that comes down to one."""
    kind, template = phrasings.pick_kind(rng, "equations", EQUATIONS)
    return _MAKERS[kind](rng, template)


TEMPLATES: dict[str, Templates] = {"equations": EQUATIONS}
FAMILIES: dict[str, Family] = {"equations": equations}
