"""Quantities with units, exactly, through pint. Runs in the calculator's process.

Numbers are fractions, so 20 °C are 68 °F and not 67.99999999999993.
"""

import functools
import re
from fractions import Fraction
from typing import Any

from errors import ToolError

_MOST_CHARS = 200
_DIGITS = 12
_HELP = "Write units such as km/h, kg, degC, GiB, or fluid_ounce."

_SPELLINGS = {
    "°c": "degC",
    "℃": "degC",
    "deg c": "degC",
    "degrees celsius": "degC",
    "degree celsius": "degC",
    "centigrade": "degC",
    "°f": "degF",
    "℉": "degF",
    "deg f": "degF",
    "degrees fahrenheit": "degF",
    "degree fahrenheit": "degF",
    "degrees kelvin": "kelvin",
    "°": "degree",
    "fl oz": "fluid_ounce",
    "fl. oz": "fluid_ounce",
    "fl. oz.": "fluid_ounce",
    "fluid ounce": "fluid_ounce",
    "fluid ounces": "fluid_ounce",
    "lbs": "lb",
    "kmh": "km/hour",
    "kph": "km/hour",
    "cc": "cm^3",
    "sqft": "ft^2",
    "sqm": "m^2",
    "btu": "Btu",
    "cal": "cal",
    "Cal": "kcal",
    "KB": "kB",
    "Kb": "kbit",
    "Mb": "Mbit",
    "Gb": "Gbit",
    "Tb": "Tbit",
    "Mbps": "Mbit/s",
    "Gbps": "Gbit/s",
    "kbps": "kbit/s",
    "bps": "bit/s",
    '"': "inch",
    "″": "inch",
    "'": "foot",
    "′": "foot",
    "secs": "s",
    "mins": "minute",
    "hrs": "hour",
    "metric cup": "metric_cup",
    "us cup": "cup",
    "imperial cup": "imperial_cup",
    "uk cup": "imperial_cup",
    "uk gallon": "imperial_gallon",
    "imperial gallon": "imperial_gallon",
    "us gallon": "gallon",
    "uk pint": "imperial_pint",
    "imperial pint": "imperial_pint",
    "us pint": "pint",
    "short ton": "ton",
    "us ton": "ton",
    "long ton": "UK_ton",
    "uk ton": "UK_ton",
    "metric ton": "tonne",
    "nautical mile": "nautical_mile",
    "nautical miles": "nautical_mile",
    "light year": "light_year",
    "light years": "light_year",
    "light-year": "light_year",
    "light-years": "light_year",
}
_PREFIXED = (
    (r"\bsquare\s+(\w+)", r"\1^2"),
    (r"\bcubic\s+(\w+)", r"\1^3"),
    (r"\bsq\.?\s+(\w+)", r"\1^2"),
    (r"\bcu\.?\s+(\w+)", r"\1^3"),
)
_TEMPERATURES = {"c": "degC", "f": "degF", "k": "kelvin"}
# Units that mean different amounts in different places: pint's meaning, and the others.
_AMBIGUOUS = {
    "cup": ("US cup, 236.588 ml", "metric_cup (250 ml), imperial_cup (284.131 ml)"),
    "pint": ("US liquid pint, 473.176 ml", "imperial_pint (568.261 ml)"),
    "quart": ("US liquid quart, 946.353 ml", "imperial_quart (1136.52 ml)"),
    "gallon": ("US liquid gallon, 3.78541 litres", "imperial_gallon (4.54609 litres)"),
    "fluid_ounce": ("US fluid ounce, 29.5735 ml", "imperial_fluid_ounce (28.4131 ml)"),
    "ton": ("US short ton, 907.185 kg", "tonne (1000 kg), UK_ton (1016.05 kg)"),
    "month": ("a twelfth of a year, 30.4375 days", "date_info adds calendar months"),
    "year": ("365.25 days", "date_info adds calendar years"),
    "tablespoon": ("US tablespoon, 14.7868 ml", "15 ml as metric, 20 ml in Australia"),
    "barrel": ("US barrel, 31.5 gallons", "oil_barrel (42 gallons)"),
    "horsepower": ("mechanical, 745.7 W", "metric_horsepower (735.499 W)"),
}
_BINARY = {"kilo": "Ki", "mega": "Mi", "giga": "Gi", "tera": "Ti", "peta": "Pi"}
_BYTES = re.compile(r"^(kilo|mega|giga|tera|peta)(byte|bit)$")


class ClashOfUnits(ToolError):
    """Units that are known and don't go together, such as km + kg."""


def convert(data: bytes, name: str, value: str, source: str, target: str) -> str:
    """`5 mile = 8.04672 kilometer`, and a note where a unit has several meanings."""
    del data, name
    number = _number(value)
    efficiency = _consumption(number, source, target)
    if efficiency:
        return efficiency
    before, after = _units(source, target)
    notes: list[str] = []
    try:
        quantity = _registry().Quantity(number, before)
        result = quantity.to(after)
    except Exception as error:  # noqa: BLE001 - pint has a dozen
        result = _as_fluid(number, before, after, notes)
        if result is None:
            raise ToolError(_why(error, source, target), _HELP) from None
        before = _parsed(str(before).replace("ounce", "fluid_ounce"))
    notes += [note for unit in {*before.keys(), *after.keys()} if (note := _note(unit))]
    left = f"{_plain(number).removeprefix('≈ ')} {_name(before)}"
    return "\n".join(
        [_equation(left, f"{_plain(result.magnitude)} {_name(after)}"), *sorted(notes)]
    )


def _equation(left: str, right: str) -> str:
    return f"{left} {right}" if right.startswith("≈") else f"{left} = {right}"


def evaluate(expression: str) -> str:
    """`5 km + 300 m` or `60 mph * 2 hours in km`. Raises ToolError, in words."""
    if len(expression) > _MOST_CHARS:
        raise ToolError("The expression with units is too long.", _HELP)
    text, _, target = (part.strip() for part in _split_target(expression))
    single = re.fullmatch(r"([-−]?[\d.,/]+)\s*(\D.*)", text)
    if target and single and "deg" in _spelled(single[2]):  # degrees can't be multiplied
        return convert(b"", "", single[1], single[2], target)
    try:
        result = _registry().parse_expression(_spelled_in(text))
        if not hasattr(result, "units"):
            raise ToolError(f"There is no unit in: {expression}", _HELP)
        if target:
            result = result.to(_parsed(_spelled(target)))
        return f"{_plain(Fraction(result.magnitude))} {_name(result.units._units)}"
    except ToolError:
        raise
    except Exception as error:  # noqa: BLE001 - pint has a dozen
        clash = type(error).__name__ in ("DimensionalityError", "OffsetUnitCalculusError")
        raise (ClashOfUnits if clash else ToolError)(_why(error, text, target), _HELP) from None


def _split_target(expression: str) -> tuple[str, str, str]:
    found = re.fullmatch(
        r"(.+?)\s+(in|to|as|into)\s+(\S.*?)", expression.strip().rstrip("?").strip()
    )
    return (found[1], found[2], found[3]) if found else (expression, "", "")


@functools.cache
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry(non_int_type=Fraction, cache_folder=None)
    registry.define("metric_cup = 250 * milliliter")
    registry.define("imperial_cup = 10 * imperial_fluid_ounce")
    return registry


def _units(source: str, target: str) -> tuple[Any, Any]:
    """Both units as pint's containers; C and F are temperatures beside another temperature."""
    spelled = [_spelled(source), _spelled(target)]
    letters = [text.lower() in _TEMPERATURES and len(text) == 1 for text in spelled]
    degrees = [text in ("degC", "degF", "kelvin", "celsius", "fahrenheit") for text in spelled]
    if all(letter or degree for letter, degree in zip(letters, degrees, strict=True)):
        spelled = [_TEMPERATURES.get(text.lower(), text) for text in spelled]
    return _parsed(spelled[0]), _parsed(spelled[1])


def _parsed(text: str) -> Any:
    import pint

    registry = _registry()
    try:
        return registry.parse_units(text)._units
    except (pint.UndefinedUnitError, AttributeError):
        for other in (text.lower(), text.rstrip("."), re.sub(r"(?<=\w)\s+(?=\w)", "_", text)):
            try:
                return registry.parse_units(other)._units
            except Exception:  # noqa: BLE001 - the next spelling
                continue
        raise ToolError(f"There is no unit '{text}'.", _HELP) from None
    except Exception as error:  # noqa: BLE001 - pint's parser raises whatever it came to
        raise ToolError(f"'{text}' is no unit: {str(error)[:100]}.", _HELP) from None


def _spelled(unit: str) -> str:
    """A unit as pint spells it: `sq ft` is `ft^2`, `km per hour` is `km/hour`."""
    text = " ".join(str(unit).split())
    if not text or len(text) > _MOST_CHARS:
        raise ToolError("A unit is missing." if not text else "The unit is too long.", _HELP)
    text = _SPELLINGS.get(text, _SPELLINGS.get(text.lower(), text))
    for pattern, meant in _PREFIXED:
        text = re.sub(pattern, meant, text, flags=re.I)
    return re.sub(r"\s+per\s+", "/", text).replace("·", "*").replace("²", "^2").replace("³", "^3")


def _spelled_in(text: str) -> str:
    """The spellings of whole words within an expression."""
    for spelling, meant in (
        ("°C", " degC"),
        ("°F", " degF"),
        ("fl oz", " fluid_ounce"),
        ("lbs", "lb"),
    ):
        text = text.replace(spelling, meant)
    for pattern, meant in _PREFIXED:
        text = re.sub(pattern, meant, text, flags=re.I)
    text = re.sub(r"(?<=\d),(?=\d{3}(?:\D|$))", "", text)
    return re.sub(r"\s+per\s+", "/", text).replace("²", "^2").replace("³", "^3")


def _number(value: str) -> Fraction:
    """5, 1.5, 1,000, 3/4, 2 1/2 or 1e3, exactly."""
    text = str(value).strip().replace("−", "-")
    text = re.sub(r"(?<=\d),(?=\d{3}(?:\D|$))", "", text)
    try:
        if len(text) > 60 or re.search(r"[eE][+-]?\d{4,}", text):
            raise ValueError
        whole, space, rest = text.partition(" ")
        if space and "/" in rest:
            return Fraction(whole) + (
                Fraction(rest) if not whole.startswith("-") else -Fraction(rest)
            )
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ToolError(
            f"'{value}' is no number.", "Give a number such as 5, 1.5 or 3/4."
        ) from None


def _consumption(number: Fraction, source: str, target: str) -> str:
    """Miles per gallon and litres per 100 km are each other's reciprocal."""
    rates = [_rate(unit) for unit in (source, target)]
    if None in rates or "per_distance" not in (rates[0][0], rates[1][0]):  # type: ignore[index]
        return ""
    (kind, _), (other, other_factor) = rates  # type: ignore[misc]
    if number <= 0:
        raise ToolError("A consumption has to be more than 0.", _HELP)
    metres_per_litre = rates[0][1] * number if kind == "distance" else rates[0][1] / number  # type: ignore[index]
    result = (
        metres_per_litre / other_factor if other == "distance" else other_factor / metres_per_litre
    )
    left = f"{_plain(number).removeprefix('≈ ')} {source.strip()}"
    return _equation(left, f"{_plain(result)} {target.strip()}")


def _rate(unit: str) -> tuple[str, Fraction] | None:
    """Metres a litre of one unit; the reciprocal's for litres per 100 km."""
    text = (
        unit.lower()
        .replace(" ", "")
        .replace("per", "/")
        .replace("litres", "l")
        .replace("liters", "l")
    )
    if text in ("l/100km",):
        return "per_distance", Fraction(100_000)
    if text in ("mpg", "mpgus", "usmpg", "mpg(us)", "miles/gallon"):
        return "distance", Fraction("1609.344") / Fraction("3.785411784")
    if text in ("mpguk", "ukmpg", "mpg(uk)", "imperialmpg"):
        return "distance", Fraction("1609.344") / Fraction("4.54609")
    return ("distance", Fraction(1000)) if text in ("km/l",) else None


def _as_fluid(number: Fraction, before: Any, after: Any, notes: list[str]) -> Any:
    """Ounces that have to be fluid ounces, since the other side is a volume."""
    if "ounce" not in before and "ounce" not in after:
        return None
    try:
        fluid = [_parsed(str(u).replace("ounce", "fluid_ounce")) for u in (before, after)]
        result = _registry().Quantity(number, fluid[0]).to(fluid[1])
    except Exception:  # noqa: BLE001 - then it was something else
        return None
    notes.append("note: ounce is taken as fluid_ounce, since the other unit is a volume")
    return result


def _note(unit: str) -> str:
    if unit in _AMBIGUOUS:
        meant, others = _AMBIGUOUS[unit]
        return f"note: {unit} is the {meant}; others: {others}"
    if found := _BYTES.match(unit):
        binary = _BINARY[found[1]] + ("B" if found[2] == "byte" else "bit")
        return f"note: {unit} counts in powers of 1000; in powers of 1024 it is {binary}"
    return ""


def _why(error: Exception, source: str, target: str) -> str:
    kind = type(error).__name__
    if kind == "DimensionalityError" and not target:
        return f"{str(error)[:200]}."
    if kind == "DimensionalityError":
        return f"{source} can't be converted to {target}: they measure different things."
    if kind == "OffsetUnitCalculusError":
        return (
            "Temperatures in degC or degF can't be added or multiplied; use kelvin or delta_degC."
        )
    if kind == "UndefinedUnitError":
        return f"{str(error)[:120].replace(' in the unit registry', '')}."
    return f"{source} can't be converted to {target or 'anything'}: {str(error)[:120]}"


def _name(units: Any) -> str:
    whole = {name: int(power) for name, power in units.items() if power == int(power)}
    if len(whole) < len(units):  # a root of a unit, which pint can't write with a fraction
        return "·".join(f"{name}^({power})" for name, power in units.items())
    return format(_registry().Unit(_registry().UnitsContainer(whole)), "P") or "(without a unit)"


def _plain(number: Any) -> str:
    """All decimals where they are few, else twelve digits behind a ≈."""
    value = Fraction(number)
    rest, places = value.denominator, 0
    while rest % 10 == 0 or rest % 5 == 0 or rest % 2 == 0:
        rest = rest // (10 if rest % 10 == 0 else 5 if rest % 5 == 0 else 2)
        places += 1
        if places > _DIGITS:
            break
    if rest == 1 and places <= _DIGITS and abs(value.numerator) < 10**30:
        text = f"{value.numerator * 10**places // value.denominator}".lstrip("-").rjust(
            places + 1, "0"
        )
        text = f"{text[:-places]}.{text[-places:]}".rstrip("0").rstrip(".") if places else text
        return f"-{text}" if value < 0 else text
    from decimal import Context, Decimal

    context = Context(prec=_DIGITS)
    decimal = context.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(
        context
    )
    small = Decimal("1e-6") < abs(decimal) < Decimal("1e15")
    return f"≈ {decimal:f}" if small else f"≈ {decimal}"
