"""A plan on a terminal: the sum, the command, why, and what was rejected."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from serving.hardware import Hardware
from serving.plan.result import ServingPlan, gib


def show_plan(plan: ServingPlan, out: Console) -> None:
    """Print a plan; when it doesn't fit, by how much, and the one that does."""
    out.print(f"[bold]{escape(plan.model)}[/] on [bold]{escape(plan.device)}[/]")
    if plan.fits:
        out.print(_summary(plan))
    else:
        lacks = f"{gib(plan.shortfall_bytes)} of {plan.lacks}"
        out.print(f"[red]does not fit: {lacks} are missing[/] ({escape(_title(plan))})")
    out.print()
    out.print(_sum(plan))
    if plan.fits:
        out.print("\n[bold]Command[/] (address, port and key are the supervisor's)")
        shown = plan.command or "in the app's own process, inside @spaces.GPU"
        out.print(f"  {shown}", markup=False, soft_wrap=True)
        out.print()
        out.print(_flags(plan))
    out.print("[bold]Why[/]")
    for reason in plan.reasons:
        out.print(f"  {escape(reason)}")
    if plan.rejected:
        out.print("\n[bold]Rejected[/]")
        out.print(_rejected(plan))
    _show_next(plan, out)


def _title(plan: ServingPlan) -> str:
    return f"{plan.engine}, {plan.format}"


def _summary(plan: ServingPlan) -> str:
    bits = [
        f"[green]{escape(_title(plan))}[/] from {escape(plan.checkpoint)}",
        f"computed in {plan.dtype}",
        f"context {plan.context:,} tokens",
        f"{plan.concurrency} conversation{'s' if plan.concurrency > 1 else ''} at once",
    ]
    if plan.experimental:
        bits.append("[yellow]experimental[/]")
    return "\n".join(bits)


def _sum(plan: ServingPlan) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for part in plan.parts:
        sign = "− " if part.takes else "  "
        table.add_row(sign + part.label, f"{part.bytes:,}", gib(part.bytes), escape(part.how))
    return table


def _flags(plan: ServingPlan) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(max_width=44)
    for flag in (*plan.environment, *plan.flags):
        table.add_row(escape(f"  {flag.name} {flag.value}"), f"[dim]{escape(flag.reason)}[/]")
    for flag in plan.left_alone:
        shown = escape(f"  ({flag.name} {flag.value})")
        table.add_row(f"[dim]{shown}[/]", f"[dim]left as it is: {escape(flag.reason)}[/]")
    return table


def _rejected(plan: ServingPlan) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for entry in plan.rejected:
        table.add_row(f"  {escape(entry.what)}", f"[dim]{escape(entry.reason)}[/]")
    return table


def _show_next(plan: ServingPlan, out: Console) -> None:
    if plan.fits:
        return
    if plan.next is None:
        out.print(
            "\nNothing smaller fits either: name a server elsewhere with HEARTH_ENDPOINT_URL, or "
            "run the bundled model with HEARTH_MODEL=tiny."
        )
        return
    out.print("\n[bold]What fits instead[/]")
    show_plan(plan.next, out)


def show_hardware(hardware: Hardware, out: Console) -> None:
    """Print every finding with its reason."""
    table = Table("what", "found", "because", box=None, pad_edge=False)
    for what, value, reason in hardware.findings():
        table.add_row(what, escape(value), f"[dim]{escape(reason)}[/]")
    out.print(table)
