"""Plots of a CSV file, saved as a PNG file."""

from __future__ import annotations

import random
from collections.abc import Callable

from serving.tiny.example import Example, Expect, Step
from serving.tiny.families.table_maker import Table, made_up, make_table, say, stem
from serving.tiny.families.tables import csv_code, look, with_others
from serving.tiny.families.wordings import Wordings
from serving.tiny.phrasings import Family, Phrasings, Templates, vary

_PLOT = {
    "bar": (
        "Make a bar chart of {y} by {x} from {file}{save}.",
        "Draw a bar chart of {y} for each {x}{save}.",
        "Plot {y} per {x} as bars{save}.",
        "Create a bar plot of {y} by {x} in {file}{save}.",
        "Show {y} by {x} in a bar chart{save}.",
        "I want a bar chart with {x} on the x axis and {y} on the y axis{save}.",
        "Bar chart of {y} by {x}, please{save}.",
        "Visualise the {y} of every {x} in {file} as a bar chart{save}.",
        "From {file}, draw bars of {y} for every {x}{save}.",
        "Use {file} to make a bar plot of {y} against {x}{save}.",
        "Compare the {y} of the {xs} in a bar chart{save}.",
    ),
    "total": (
        "Make a bar chart of the total {y} per {x} from {file}{save}.",
        "Draw a bar chart of total {y} by {x}{save}.",
        "Plot the total {y} of each {x} as bars{save}.",
        "Show the total {y} for every {x} in {file} as a bar chart{save}.",
        "Sum {y} by {x} and draw a bar chart{save}.",
        "Group {file} by {x} and make a bar plot of the total {y}{save}.",
        "I need a bar chart of the summed {y} for each {x}{save}.",
        "Create bars of the total {y}, one for each {x}{save}.",
    ),
    "line": (
        "Make a line chart of {y} over {x} from {file}{save}.",
        "Draw a line plot of {y} by {x}{save}.",
        "Plot {y} over {x} as a line{save}.",
        "Show how {y} changes over {x} in {file} with a line chart{save}.",
        "Create a line chart of {y} against {x}{save}.",
        "I want a line plot of {y} over {x} in {file}{save}.",
        "Line chart of {y} over {x}, please{save}.",
        "Visualise {y} over {x} as a line{save}.",
        "Draw the development of {y} over {x} in {file} as a line{save}.",
        "Use {file} to draw a line of {y} over the {x}{save}.",
    ),
    "hist": (
        "Make a histogram of {y} from {file}{save}.",
        "Draw a histogram of {y}{save}.",
        "Plot the distribution of {y} in {file} as a histogram{save}.",
        "Create a histogram of the {y} column{save}.",
        "Show a histogram of {y} in {file}{save}.",
        "I want to see the distribution of {y} in a histogram{save}.",
        "Histogram of {y}, please{save}.",
        "Visualise how {y} is distributed with a histogram{save}.",
        "Plot a histogram for the column {y} of {file}{save}.",
        "Use {file} to draw a histogram of {y}{save}.",
    ),
    "scatter": (
        "Make a scatter plot of {y} against {x} from {file}{save}.",
        "Draw a scatter plot with {x} on the x axis and {y} on the y axis{save}.",
        "Plot {y} against {x} as a scatter plot{save}.",
        "Create a scatter chart of {y} versus {x} in {file}{save}.",
        "Show {y} versus {x} in a scatter plot{save}.",
        "I want a scatter plot of {y} over {x}{save}.",
        "Scatter plot of {y} against {x}, please{save}.",
        "Visualise {y} against {x} as a scatter plot from {file}{save}.",
        "Use {file} for a scatter plot of {y} versus {x}{save}.",
        "Plot the points of {y} against {x} in {file} as a scatter chart{save}.",
    ),
}
TEMPLATES: dict[str, Templates] = {"plot": _PLOT}
_WORDINGS = Wordings("plot", _PLOT)

_SAVE = (
    " and save it as {png}",
    " and save it to {png}",
    "; save it as {png}",
    ", saved as {png}",
    ". Save it as {png}",
    ". Store it in {png}",
    " and write it to {png}",
    ". Call the file {png}",
)
_IMAGES = (
    "plot",
    "chart",
    "figure",
    "graph",
    "picture",
    "image",
    "out",
    "my_plot",
    "fig1",
    "result",
)

Plot = tuple[Table, dict[str, str], str, str]
"""The table, the slots, the thinking, and the expression that draws."""


def _pair(kind: str, table: Table, x_role: str, rng: random.Random) -> Plot:
    x = rng.choice(table.of(x_role))
    y = rng.choice([c for c in table.of("number") if c is not x])
    if kind == "total":
        drawn = f'df.groupby("{x.name}")["{y.name}"].sum().plot.bar()'
        thinking = f"I group by {x.name}, take the sum of {y.name} and draw bars."
    else:
        drawn = f'df.plot.{kind}(x="{x.name}", y="{y.name}")'
        thinking = f"I draw a {kind} plot with x {x.name} and y {y.name}."
    return table, {"x": say(rng, x), "y": say(rng, y), "xs": f"{x.words} values"}, thinking, drawn


def _bar(rng: random.Random) -> Plot:
    return _pair("bar", make_table(rng, rows=(5, 15)), "entity", rng)


def _total(rng: random.Random) -> Plot:
    return _pair("total", make_table(rng, categories=1), "category", rng)


def _line(rng: random.Random) -> Plot:
    return _pair("line", make_table(rng, entity=rng.random() < 0.3, dates=1), "date", rng)


def _scatter(rng: random.Random) -> Plot:
    return _pair("scatter", make_table(rng, number_columns=2), "number", rng)


def _hist(rng: random.Random) -> Plot:
    table = make_table(rng)
    y = rng.choice(table.of("number"))
    return (
        table,
        {"y": say(rng, y)},
        f"I draw a histogram of {y.name}.",
        f'df.plot.hist(y="{y.name}")',
    )


_DRAW: dict[str, Callable[[random.Random], Plot]] = {
    "bar": _bar,
    "total": _total,
    "line": _line,
    "hist": _hist,
    "scatter": _scatter,
}


def _image(rng: random.Random, slots: dict[str, str]) -> str:
    roll = rng.random()
    if roll < 0.4:
        name = rng.choice(_IMAGES)
    elif roll < 0.8:
        name = slots["y"].lower().replace(" ", "_")
    else:
        name = made_up(rng)
    return f"{name}{rng.choice(('', '', '', '_plot', '2', '_v1'))}.png"


def _plot(rng: random.Random, phrasings: Phrasings) -> Example:
    kind, template = _WORDINGS.pick(rng, phrasings)
    table, slots, thinking, drawn = _DRAW[kind](rng)
    file = stem(rng, table.theme) + ".csv"
    image, save = "plot.png", ""
    if rng.random() < 0.6:
        image = _image(rng, slots)
        save = rng.choice(_SAVE).format(png=image)
    code = csv_code(
        file,
        f"ax = {drawn}",
        f'ax.figure.savefig("{image}", bbox_inches="tight")',
        f'final_answer("{image}")',
    )
    return Example(
        family="plot",
        phrasing=template,
        expect=Expect("file", image),
        task=vary(rng, template.format(file=file, save=save, **slots)),
        steps=[look(file), Step(f"{thinking} The file is {image}.", code)],
        files=with_others(rng, template, file, table.csv()),
    )


FAMILIES: dict[str, Family] = {"plot": _plot}
