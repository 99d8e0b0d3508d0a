"""What the names in an expression mean to `calculate`."""

from fractions import Fraction
from typing import Any

import sympy

_MAX_BITS = 30_000_000

CONSTANTS = {
    "pi": sympy.pi,
    "e": sympy.E,
    "E": sympy.E,
    "I": sympy.I,
    "oo": sympy.oo,
    "inf": sympy.oo,
    "infinity": sympy.oo,
    "true": sympy.true,
    "false": sympy.false,
    "True": sympy.true,
    "False": sympy.false,
}


def _round(number: Any, digits: Any = 0) -> Any:
    number = sympy.Rational(number)  # refuses what is no number
    return sympy.Rational(round(Fraction(int(number.p), int(number.q)), int(digits)))


def divide(left: Any, right: Any) -> Any:
    if right == 0:
        raise ValueError("Division by zero.")
    return left / right


def power(base: Any, exponent: Any) -> Any:
    """The power, refused at once where its digits alone would fill the memory."""
    if base.is_Rational and exponent.is_Integer and base not in (0, 1, -1):
        bits = max(abs(base.p), base.q).bit_length() * abs(exponent)
        if bits > _MAX_BITS:
            raise ValueError(f"The power would have about {int(bits * 0.301):.0e} digits.")
    return base**exponent


def _log10(number: Any) -> Any:
    return sympy.log(number, 10)


def _log2(number: Any) -> Any:
    return sympy.log(number, 2)


def _prime_factors(number: Any) -> Any:
    if not number.is_Integer:
        raise ValueError("factorint wants a whole number.")
    return dict(sympy.factorint(number))


def _flat(values: tuple[Any, ...]) -> list[Any]:
    return list(values[0]) if len(values) == 1 and isinstance(values[0], tuple) else list(values)


def _median(values: list[Any]) -> Any:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _rows(rows: tuple[Any, ...]) -> list[list[Any]]:
    """The rows of a matrix, given as one list or one after the other."""
    given = rows[0] if len(rows) == 1 else rows
    return [list(row) for row in given]


FUNCTIONS: dict[str, Any] = {
    "sqrt": sympy.sqrt,
    "cbrt": sympy.cbrt,
    "root": sympy.root,
    "exp": sympy.exp,
    "log": sympy.log,
    "ln": sympy.log,
    "log10": _log10,
    "log2": _log2,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "asin": sympy.asin,
    "acos": sympy.acos,
    "atan": sympy.atan,
    "atan2": sympy.atan2,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "tanh": sympy.tanh,
    "abs": sympy.Abs,
    "floor": sympy.floor,
    "ceil": sympy.ceiling,
    "ceiling": sympy.ceiling,
    "round": _round,
    "min": sympy.Min,
    "max": sympy.Max,
    "mod": sympy.Mod,
    "factorial": sympy.factorial,
    "binomial": sympy.binomial,
    "comb": sympy.binomial,
    "gcd": sympy.gcd,
    "lcm": sympy.lcm,
    "isprime": sympy.isprime,
    "is_prime": sympy.isprime,
    "prime": sympy.prime,
    "nextprime": sympy.nextprime,
    "factorint": _prime_factors,
    "divisors": sympy.divisors,
    "fibonacci": sympy.fibonacci,
    "solve": sympy.solve,
    "simplify": sympy.simplify,
    "expand": sympy.expand,
    "factor": sympy.factor,
    "diff": sympy.diff,
    "integrate": sympy.integrate,
    "limit": sympy.limit,
    "series": sympy.series,
    "summation": sympy.summation,
    "product": sympy.product,
    "sum": lambda *values: sympy.Add(*_flat(values)),
    "mean": lambda *values: divide(sympy.Add(*_flat(values)), len(_flat(values))),
    "median": lambda *values: _median(_flat(values)),
    "sec": sympy.sec,
    "csc": sympy.csc,
    "cot": sympy.cot,
    "degrees": lambda angle: angle * 180 / sympy.pi,
    "radians": lambda angle: angle * sympy.pi / 180,
    "sign": sympy.sign,
    "re": sympy.re,
    "im": sympy.im,
    "conjugate": sympy.conjugate,
    "apart": sympy.apart,
    "cancel": sympy.cancel,
    "trigsimp": sympy.trigsimp,
    "totient": sympy.totient,
    "primepi": sympy.primepi,
    "gamma": sympy.gamma,
    "erf": sympy.erf,
    "zeta": sympy.zeta,
    "perm": lambda n, k: sympy.ff(n, k),
    "det": lambda *rows: sympy.Matrix(_rows(rows)).det(),
    "N": sympy.N,
    "evalf": sympy.N,
}
