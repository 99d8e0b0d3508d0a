"""convert_units: one quantity in another unit, exactly."""

from errors import ToolError
from tools.base import HearthTool
from tools.calculate import ask


class ConvertUnits(HearthTool):
    """Asks pint, in the calculator's process."""

    name = "convert_units"
    description = (
        "Converts a number from one unit to another, exactly: lengths, temperatures, data sizes, "
        "compound units such as km/h; says when a unit (cup, ounce, ton) has several meanings. "
        'Example: print(convert_units(20, "degC", "degF"))'
    )
    inputs = {
        "value": {"type": "number", "description": "The number, such as 20."},
        "from_unit": {"type": "string", "description": "Its unit, such as km/h, cup or degC."},
        "to_unit": {"type": "string", "description": "The unit wanted, such as m/s."},
    }
    timeout_seconds = 60.0

    def forward(self, value: float, from_unit: str, to_unit: str) -> str:
        if not str(value).strip():
            raise ToolError("value is empty.", "Give a number such as 20.")
        return ask("units", value=str(value), source=str(from_unit), target=str(to_unit))
