"""What a step's last value becomes: plain data, a summary, a file."""

from pathlib import Path
from typing import Any

from tests.executor_checks.common import Make, fails


def _names(executor: Any) -> list[str]:
    return [path.name for path in executor.artefacts]


def check_tables_are_summarised_and_kept_whole(make: Make) -> None:
    executor = make()
    executor("import pandas as pd, numpy as np")
    shown = executor(
        "pd.DataFrame({'n': range(30), 'name': 'x', 'when': pd.Timestamp('2024-01-02')})"
    ).output
    head, _, last = shown.rpartition("\n")
    assert head.count("\n") == 10 and head.splitlines()[-1].split() == ["9", "9", "x", "2024-01-02"]
    assert last.startswith("[30 rows × 3 columns: n int64, name str, when datetime64[")
    assert executor("len(_), _.n.sum()").output == (30, 435), "the whole table is still there"
    wide = executor("pd.DataFrame(np.zeros((3, 500)))").output
    assert wide.endswith(", 19 float64, …]") and "[3 rows × 500 columns: 0 float64" in wide
    assert len(wide) < 4000
    assert executor("pd.DataFrame({'a': [1]})").output == "   a\n0  1", "a small one as it is"
    long = executor("pd.DataFrame({'text': ['word ' * 1000] * 5})").output
    assert len(long) < 500
    series = executor("pd.Series(range(5000), name='n')").output
    assert len(series) < 1000 and "Length: 5000, dtype: int64" in series
    assert "shape (100, 50), float64" in executor("np.zeros((100, 50))").output


def check_many_tables_at_once_are_bounded(make: Make) -> None:
    executor = make()
    executor("import pandas as pd\ndf = pd.DataFrame({'n': range(3)})")
    assert executor("{'a': df, 'b': [df]}").output == {
        "a": "   n\n0  0\n1  1\n2  2",
        "b": ["   n\n0  0\n1  1\n2  2"],
    }
    shown = executor("[pd.DataFrame({'n': ['y' * 50] * 10, 'm': 1.5}) for _ in range(900)]").output
    assert type(shown) is str and len(shown) < 5000


def check_large_values_are_bounded(make: Make) -> None:
    executor = make()
    shown = executor("list(range(10**6))").output
    assert shown.startswith("[0, 1, 2, ") and shown.endswith("\n[1,000,000 items]")
    assert len(shown) < 1000
    assert executor("len(_)").output == 10**6
    assert executor("'x' * 10**6").output.endswith("\n[1,000,000 characters]")
    assert executor("{n: n for n in range(10**5)}").output.endswith("\n[100,000 items]")
    assert executor("list(range(1000))").output == list(range(1000))
    assert len(executor("[list(range(1000)) for _ in range(1000)]").output) < 5000


def check_the_last_value_has_a_name(make: Make) -> None:
    executor = make()
    executor("6 * 7")
    executor("x = 1\nprint('nothing')\nNone")
    assert executor("_ + 1").output == 43
    assert executor("_").output == 43
    assert executor("_, rest = (1, 2)\nfor _ in range(3):\n    pass\n_").output == 2
    assert executor("_").output == 2, "a name that the code gave counts more"


def check_hostile_values_are_bounded(make: Make) -> None:
    executor = make()
    executor(
        "class Big:\n    def __repr__(self):\n        return 'x' * 3_000_000\n"
        "class Fails:\n    def __repr__(self):\n        raise RecursionError('no')\n"
        "class Lies:\n    def __repr__(self):\n        return 5\n"
        "class Exits:\n    def __repr__(self):\n        raise SystemExit(3)\n"
        "class Part(dict):\n    def items(self):\n        return 5\n"
        "class Text(str):\n    def __str__(self):\n        return 7\n    def __len__(self):\n"
        "        return -1\n"
        "class Odd:\n    __class__ = property(lambda self: 1 / 0)\n"
        "class Sized(list):\n    def __len__(self):\n        raise ValueError('no')\n"
    )
    assert len(executor("[Big() for _ in range(100)]").output) < 5000
    shown = executor("[Big(), {'k': Fails()}, Lies()]").output
    assert len(shown[0]) < 5000
    assert shown[1] == {"k": "<Fails; its repr failed with RecursionError>"}
    assert "Lies" in shown[2]
    assert executor("Part(a=1), Text('t')").output == ({"a": 1}, "t")
    assert executor("Sized([1])").output == [1]
    assert "Odd" in executor("Odd()").output
    assert "SystemExit" in fails(executor, "Exits()")
    executor("deep = []\nfor _ in range(10**5):\n    deep = [deep]")
    assert len(str(executor("deep").output)) < 5000
    assert executor("'still here'").output == "still here"


def check_a_figure_needs_no_saving(make: Make) -> None:
    executor = make()
    assert executor("import matplotlib.pyplot as plt\nplt.plot([1, 2])").output == (
        "Saved: figure-1.png"
    )
    assert _names(executor) == ["figure-1.png"]
    assert executor("print('drawn')\nplt.bar(['a'], [1])\nplt.show()").output == (
        "Saved: figure-2.png"
    )
    result = executor("ax = plt.subplots()[1]\nax.set_title('T')\nlen(ax.lines)")
    assert (result.output, _names(executor)) == (0, ["figure-3.png"])
    executor("fig, axes = plt.subplots(2)\nplt.close('all')")
    assert _names(executor) == []
    assert executor("fig").output == "Saved: figure-4.png"
    assert executor("fig.savefig('own.png')\nfig").output is None
    assert _names(executor) == ["own.png"]
    code = "from matplotlib.figure import Figure\nf = Figure()\nf.subplots().plot([1])\nf"
    assert executor(code).output == "Saved: figure-5.png"
    executor("import json\nplt.plot([2])\njson.dump([1], open('data.json', 'w'))")
    assert sorted(_names(executor)) == ["data.json", "figure-6.png"], "a data file is no picture"
    executor("import pandas as pd\ndf = pd.DataFrame({'a': [1, 2], 'b': [2, 1]})")
    assert executor("df.hist()").output == "Saved: figure-7.png"
    result = executor("counts = plt.hist([1, 1, 2], bins=2)\ncounts[0].tolist()")
    assert (result.output, _names(executor)) == ([2.0, 1.0], ["figure-8.png"])


def check_a_picture_needs_no_saving(make: Make) -> None:
    executor = make()
    executor("from PIL import Image\npicture = Image.new('RGB', (8, 4), 'red')")
    assert _names(executor) == []
    assert executor("picture").output == "Saved: image-1.png"
    assert _names(executor) == ["image-1.png"]
    executor("picture.show()\nNone")
    assert _names(executor) == ["image-2.png"]
    executor("picture.convert('CMYK').show('a title')\npicture.rotate(90).show()\n1")
    assert _names(executor) == ["image-3.png", "image-4.png"]
    assert executor("Image.open('image-4.png').size, 1").output == ((8, 4), 1), "not expanded"
    executor("picture.save('own.jpg')\npicture")
    assert _names(executor) == ["own.jpg"]
    assert executor("[picture, 1]").output[1] == 1
    assert _names(executor) == []


PLOTLY = {
    "plotly/__init__.py": "",
    "plotly/io/__init__.py": "import importlib\ndef __getattr__(name):\n"
    "    return getattr(importlib.import_module('plotly.io._renderers'), name)\n",
    "plotly/io/_renderers.py": "def show(figure, *a, **k):\n    raise RuntimeError('no screen')\n",
    "plotly/basedatatypes.py": "class BaseFigure:\n    def show(self, *a, **k):\n"
    "        import plotly.io as pio\n        return pio.show(self, *a, **k)\n"
    "    def write_html(self, file, include_plotlyjs=True):\n"
    "        open(file, 'w').write(f'<html>{include_plotlyjs}')\n",
    "plotly/graph_objects.py": "from plotly.basedatatypes import BaseFigure\n"
    "class Figure(BaseFigure):\n    pass\n",
}


def check_plotly_s_figures_become_pages(make: Make, open_folder: Path) -> None:
    """With a stand-in that has plotly's places: the real one is not among what comes with us."""
    for name, text in PLOTLY.items():
        path = open_folder / "packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    executor = make(packages=open_folder / "packages")
    code = "import plotly.graph_objects as go\nfig = go.Figure()\nfig.show()"
    assert executor(code).output == "Saved: figure-1.html"
    assert _names(executor) == ["figure-1.html"]
    assert (executor.workspace / "figure-1.html").read_text() == "<html>True"
    assert executor("fig").output == "Saved: figure-2.html"
    executor("fig.write_html('own.html')\nfig.show(renderer='browser')")
    assert _names(executor) == ["own.html"]
