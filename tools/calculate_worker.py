"""What `calculate` does in its process: one expression in, one result out.

The expression is parsed by Python's own parser, and the tree is walked: only numbers,
operators, and the names in the tables below mean anything. Nothing is ever evaluated as
Python, which SymPy's own parser would do.
"""

import ast
import re
import sys
from typing import Any

import sympy

from errors import ToolError
from tools.calculate_names import CONSTANTS, FUNCTIONS, divide, power

MAX_RESULT_CHARS = 4_000
_PERHAPS_UNITS = ("'", "This is no expression", "calculate doesn't know")
_MAX_DEPTH = 80
_DIGITS = 15
_MAX_SHOWN_BITS = 1_000_000  # writing a number in decimals takes quadratic time

_SYMBOL = re.compile(r"[A-Za-z](_?\d+)?|alpha|beta|gamma|theta|phi|omega|lamda|mu|sigma")
_BINARY: dict[type[ast.operator], Any] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: divide,
    ast.FloorDiv: lambda a, b: sympy.floor(divide(a, b)),
    ast.Mod: lambda a, b: sympy.Mod(a, b),
    ast.Pow: power,
}
_COMPARE: dict[type[ast.cmpop], Any] = {
    ast.Eq: sympy.Eq,
    ast.NotEq: sympy.Ne,
    ast.Lt: sympy.Lt,
    ast.LtE: sympy.Le,
    ast.Gt: sympy.Gt,
    ast.GtE: sympy.Ge,
}
_SPELLINGS = {
    "^": "**",
    "×": "*",
    "·": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "√": "sqrt",
    "π": "pi",
    "∞": "oo",
    "²": "**2",
    "³": "**3",
    "≤": "<=",
    "≥": ">=",
}
_NUMBER = r"\d+(?:\.\d+)?"


def answer(data: bytes, name: str, expression: str) -> str:
    """The job of the calculator's process. Raises ToolError, in words."""
    del data, name
    sys.set_int_max_str_digits(0)
    try:
        return compute(expression)
    except (ValueError, ZeroDivisionError) as error:
        why = str(error)
        if why.startswith(_PERHAPS_UNITS):
            return _with_units(expression, why)
    except (ToolError, MemoryError, RecursionError):
        raise
    except Exception as error:  # noqa: BLE001 - SymPy raises many kinds; the model reads each
        why = f"{type(error).__name__}: {error}"[:500]
    raise ToolError(why)


def _with_units(expression: str, why: str) -> str:
    """The value of an expression with units in it; else the error `why` stands."""
    from tools.units import ClashOfUnits, evaluate

    try:
        return evaluate(expression)
    except ClashOfUnits:
        raise
    except ToolError:
        raise ToolError(why) from None


def compute(expression: str) -> str:
    """The value of the expression, as text. Raises ValueError, in words."""
    text = normalise(expression)
    sides = re.split(r"(?<![<>=!])=(?!=)", text)
    if len(sides) > 2:
        raise ValueError("One equation at a time; use solve([…], [x, y]) for several.")
    if len(sides) == 2:
        return _solve_equation(_value(sides[0]), _value(sides[1]))
    return show(_value(text))


def normalise(expression: str) -> str:
    """The expression in Python's spelling: `17% of 2x` becomes `(17/100)*2*x`."""
    text = expression.strip().rstrip("?").rstrip("=").strip()
    for spelling, meant in _SPELLINGS.items():
        text = text.replace(spelling, meant)
    text = re.sub(r"sqrt\s*(\d+(?:\.\d+)?)", r"sqrt(\1)", text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?:\D|$))(?![^(]*\))", "", text)
    text = re.sub(rf"({_NUMBER})\s*%\s*of\b", r"(\1/100)*", text)
    text = re.sub(rf"({_NUMBER})%(?!\s*[\w(.])", r"(\1/100)", text)
    while match := re.search(r"(?<=[\w)])!(?!=)", text):
        start = _operand_start(text, match.start())
        text = f"{text[:start]}factorial({text[start : match.start()]}){text[match.end() :]}"
    text = re.sub(rf"(?<![\w.])({_NUMBER})(?![\d.]|[eE][+-]?\d)\s*(?=[A-Za-z(])", r"\1*", text)
    return re.sub(r"\)\s*(?=[\w(])", ")*", text)


def _operand_start(text: str, end: int) -> int:
    """Where the operand that ends before `end` begins: a number, a name, a call or a bracket."""
    at, depth = end, 0
    while at > 0:
        char = text[at - 1]
        depth += {")": 1, "(": -1}.get(char, 0)
        if depth < 0 or (depth == 0 and not (char.isalnum() or char in "_.(")):
            break
        at -= 1
    return at


def _solve_equation(left: Any, right: Any) -> str:
    rest = sympy.expand(left - right)
    unknowns = sorted(rest.free_symbols, key=str)
    if not unknowns:
        if not (left.free_symbols or right.free_symbols):
            return show(sympy.Eq(left, right))
        return "true for every value" if rest == 0 else "no solution"
    if len(unknowns) > 1:
        names = ", ".join(map(str, unknowns))
        raise ValueError(f"The equation has several unknowns ({names}); name one: solve(…, x).")
    found = sympy.solve(sympy.Eq(left, right), unknowns[0])
    if not found:
        return "no solution"
    return " or ".join(f"{unknowns[0]} = {show(value)}" for value in found)


def _value(text: str) -> Any:
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(
            f"This is no expression that can be computed: {text.strip()}. "
            "Write it like 3*(4 + 5)^2 or solve(x^2 - 2, x)."
        ) from None
    return _Walker(text.strip()).value(tree.body, 0)


class _Walker:
    """Turns a parsed expression into SymPy's, one node kind after the other."""

    def __init__(self, source: str) -> None:
        self._source = source

    def value(self, node: ast.expr, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError("The expression is nested too deeply.")
        inner = depth + 1
        match node:
            case ast.Constant(value=bool()):
                return sympy.true if node.value else sympy.false
            case ast.Constant(value=int() | float()):
                return self._number(node)
            case ast.Name(id=name):
                return _named(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.value(operand, inner)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.value(operand, inner)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _BINARY[type(op)](self.value(left, inner), self.value(right, inner))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return _COMPARE[type(op)](self.value(left, inner), self.value(right, inner))
            case ast.Tuple(elts=items) | ast.List(elts=items):
                return [self.value(item, inner) for item in items]
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name, arguments, inner)
        part = ast.get_source_segment(self._source, node) or self._source
        raise ValueError(f"calculate doesn't know what to do with: {part}")

    def _number(self, node: ast.Constant) -> Any:
        # From the text, so that 0.1 is a tenth and not the nearest binary fraction.
        written = ast.get_source_segment(self._source, node) or str(node.value)
        if isinstance(node.value, int):
            return sympy.Integer(node.value)
        return sympy.Rational(written.replace("_", ""))

    def _call(self, name: str, arguments: list[ast.expr], depth: int) -> Any:
        function = FUNCTIONS.get(name)
        if function is None:
            known = ", ".join(sorted(FUNCTIONS))
            raise ValueError(f"There is no function {name}. There are: {known}.")
        values = [self.value(argument, depth) for argument in arguments]
        return function(*(tuple(v) if isinstance(v, list) else v for v in values))


def _named(name: str) -> Any:
    if name in CONSTANTS:
        return CONSTANTS[name]
    if _SYMBOL.fullmatch(name):
        return sympy.Symbol(name)
    raise ValueError(f"'{name}' has no value here; put the number in its place.")


def show(value: Any) -> str:
    """A result as text: exact, and with its decimals where the exact form isn't a number."""
    if isinstance(value, bool) or value in (sympy.true, sympy.false):
        return "True" if value else "False"
    if isinstance(value, dict):
        return _assignments(value) if _has_symbols(value) else _product(value)
    if isinstance(value, (list, tuple, set, sympy.Tuple, sympy.FiniteSet)):
        return "[" + ", ".join(show(item) for item in value) + "]"
    value = sympy.sympify(value)
    if value in (sympy.zoo, sympy.nan):
        raise ValueError("The result is undefined, as after a division by zero.")
    if value.is_Integer:
        large = abs(int(value)).bit_length() > _MAX_SHOWN_BITS
        return f"≈ {sympy.N(value, _DIGITS)}" if large else _capped(str(value))
    if value.is_Rational:
        return _rational(value)
    if value.is_number and value.is_finite and not value.is_Float:
        exact = str(value)
        return _plain(value) if "RootOf" in exact else f"{_capped(exact)} ≈ {_plain(value)}"
    return _as_asked(value) if value.is_Float else _capped(str(value))


def _has_symbols(value: dict[Any, Any]) -> bool:
    return any(getattr(key, "free_symbols", None) for key in value)


def _assignments(value: dict[Any, Any]) -> str:
    return ", ".join(f"{key} = {show(item)}" for key, item in value.items())


def _product(factors: dict[Any, Any]) -> str:
    return " * ".join(f"{p}^{n}" if n > 1 else str(p) for p, n in factors.items()) or "1"


def _rational(value: Any) -> str:
    """Decimals where they end within 30 digits (430.6), else the fraction and its decimals."""
    rest = value.q
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest == 1 and value.q < 10**30:
        places = next(n for n in range(100) if 10**n % value.q == 0)
        digits = str(abs(value.p) * 10**places // value.q).rjust(places + 1, "0")
        return ("-" if value < 0 else "") + f"{digits[:-places]}.{digits[-places:]}"
    return f"{_capped(str(value))} ≈ {_plain(value)}"


def _as_asked(value: Any) -> str:
    """A number in decimals, as many as N(…, digits) was asked for."""
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _plain(value: Any) -> str:
    number = sympy.N(value, _DIGITS)
    if not number.is_real:
        return str(number)
    return f"{float(number):.{_DIGITS}g}" if abs(number) < sympy.Float("1e300") else str(number)


def _capped(text: str) -> str:
    if len(text) <= MAX_RESULT_CHARS:
        return text
    return f"{text[:MAX_RESULT_CHARS]}… ({len(text)} characters in all)"
