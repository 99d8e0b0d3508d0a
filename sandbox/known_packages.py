"""Packages that models like to import, as data: what they are called, and what does without them.

The table decides which packages may be installed at a click, so an import's name never
reaches the package index by itself: a name that code made up, or that somebody registered
because models make it up, is not in it.
"""

from typing import NamedTuple


class Known(NamedTuple):
    """`package` is its name on the package index, empty where installing it would not help;
    `instead` says in a few words what to use."""

    package: str
    instead: str


# What comes with Hearth, by the name it is imported by; requirements.txt pins each.
BUNDLED = (
    "numpy", "pandas", "matplotlib", "scipy", "sympy", "sklearn", "networkx", "openpyxl", "PIL",
)  # fmt: skip

_WEB = "there is no network here; the tools web_search(query) and visit_webpage(url) reach the web"
_MODEL = "models can't be called from the code"
_LEARN = "sklearn trains models on the CPU"
_SCREEN = "there is no screen here; matplotlib saves pictures"
_PROGRAM = "it needs a program, and programs can't be started here"

# import name: package | instead. Sorted by subject.
_TABLE = {
    # plots
    "seaborn": ("seaborn", "matplotlib draws the same plots"),
    "plotly": ("plotly", "matplotlib"),
    "bokeh": ("bokeh", "matplotlib"),
    "altair": ("altair", "matplotlib"),
    "squarify": ("squarify", "matplotlib"),
    "wordcloud": ("wordcloud", "collections.Counter with a matplotlib bar chart"),
    "folium": ("", "its maps need the network; matplotlib draws points and lines"),
    "graphviz": ("", f"{_PROGRAM}; networkx with matplotlib draws graphs"),
    "pydot": ("", f"{_PROGRAM}; networkx with matplotlib draws graphs"),
    "pygraphviz": ("", f"{_PROGRAM}; networkx with matplotlib draws graphs"),
    # tables and files
    "polars": ("polars", "pandas"),
    "dask": ("dask", "pandas"),
    "pyspark": ("", f"{_PROGRAM}; pandas"),
    "modin": ("", "pandas"),
    "duckdb": ("duckdb", "sqlite3 with pandas"),
    "pyarrow": ("pyarrow", "pandas with CSV files"),
    "fastparquet": ("", "pyarrow, or pandas with CSV files"),
    "tabulate": ("tabulate", "DataFrame.to_string()"),
    "prettytable": ("prettytable", "DataFrame.to_string()"),
    "xlrd": ("xlrd", "pandas.read_excel reads .xlsx with openpyxl; only .xls needs xlrd"),
    "xlsxwriter": ("xlsxwriter", "openpyxl"),
    "xarray": ("xarray", "numpy and pandas"),
    "h5py": ("h5py", "numpy.savez"),
    "tables": ("tables", "numpy.savez, or pandas with CSV files"),
    "sqlalchemy": ("sqlalchemy", "sqlite3; pandas.read_sql takes its connections"),
    "psycopg2": ("", "there is no network here; sqlite3 for files"),
    "pymysql": ("", "there is no network here; sqlite3 for files"),
    "docx": ("python-docx", "the tool read_file(path) gives the text of a .docx"),
    "pptx": ("python-pptx", "the tool read_file(path) gives the text of a .pptx"),
    "pypdf": ("pypdf", "the tool read_file(path) gives the text of a PDF"),
    "PyPDF2": ("", "the tool read_file(path) gives the text of a PDF; pypdf took its place"),
    "pdfplumber": ("pdfplumber", "the tool read_file(path) gives the text of a PDF"),
    "fitz": ("pymupdf", "the tool read_file(path) gives the text of a PDF"),
    "tabula": ("", f"{_PROGRAM}; the tool read_file(path) gives the text of a PDF"),
    "reportlab": ("reportlab", "matplotlib saves figures as PDF"),
    "fpdf": ("fpdf2", "matplotlib saves figures as PDF"),
    "yaml": ("pyyaml", "json, or read the lines"),
    "toml": ("", "tomllib"),
    "tomli": ("", "tomllib"),
    "ujson": ("", "json"),
    "simplejson": ("", "json"),
    "orjson": ("orjson", "json"),
    "bs4": ("beautifulsoup4", "the tool visit_webpage(url) gives a page's text; html.parser"),
    "lxml": ("lxml", "xml.etree.ElementTree; html.parser"),
    "html5lib": ("html5lib", "html.parser"),
    "markdown": ("markdown", "re"),
    # the network
    "requests": ("", _WEB),
    "httpx": ("", _WEB),
    "aiohttp": ("", _WEB),
    "urllib3": ("", _WEB),
    "selenium": ("", _WEB),
    "playwright": ("", _WEB),
    "scrapy": ("", _WEB),
    "newspaper": ("", _WEB),
    "trafilatura": ("", _WEB),
    "yfinance": ("", _WEB),
    "pandas_datareader": ("", _WEB),
    "geopy": ("geopy", "math: the haversine formula; looking up addresses needs the network"),
    "wikipedia": ("", "the tool wikipedia_search(query)"),
    "wikipediaapi": ("", "the tool wikipedia_search(query)"),
    "duckduckgo_search": ("", "the tool web_search(query)"),
    "ddgs": ("", "the tool web_search(query)"),
    "youtube_transcript_api": ("", "the tool youtube_transcript(url)"),
    "waybackpy": ("", "the tool archived_page(url)"),
    "googlesearch": ("", "the tool web_search(query)"),
    "serpapi": ("", "the tool web_search(query)"),
    "tavily": ("", "the tool web_search(query)"),
    "openai": ("", _MODEL),
    "anthropic": ("", _MODEL),
    "langchain": ("", _MODEL),
    "ollama": ("", _MODEL),
    "google": ("", "attached files lie in the current folder"),
    # statistics and learning
    "statsmodels": ("statsmodels", "scipy.stats and sklearn.linear_model"),
    "pingouin": ("pingouin", "scipy.stats"),
    "lifelines": ("lifelines", "scipy.stats and scipy.optimize"),
    "patsy": ("patsy", "pandas.get_dummies"),
    "torch": ("", f"{_LEARN}, numpy computes"),
    "tensorflow": ("", f"{_LEARN}, numpy computes"),
    "keras": ("", f"{_LEARN}: sklearn.neural_network"),
    "jax": ("", "numpy and scipy.optimize"),
    "xgboost": ("", "sklearn.ensemble.HistGradientBoostingClassifier and …Regressor"),
    "catboost": ("", "sklearn.ensemble.HistGradientBoostingClassifier and …Regressor"),
    "lightgbm": ("lightgbm", "sklearn.ensemble.HistGradientBoostingClassifier and …Regressor"),
    "imblearn": ("imbalanced-learn", "sklearn with class_weight='balanced'"),
    "umap": ("", "sklearn.manifold.TSNE"),
    "prophet": ("", "pandas with sklearn.linear_model"),
    "transformers": ("", f"models can't be loaded here; {_LEARN}"),
    "sentence_transformers": ("", "sklearn.feature_extraction.text.TfidfVectorizer"),
    "spacy": ("", "its models can't be loaded; re and sklearn.feature_extraction.text"),
    "nltk": ("", "its data can't be loaded; re, collections and sklearn.feature_extraction.text"),
    "textblob": ("", "its data can't be loaded; re and collections"),
    "rapidfuzz": ("rapidfuzz", "difflib"),
    "fuzzywuzzy": ("", "difflib"),
    "Levenshtein": ("levenshtein", "difflib"),
    "unidecode": ("unidecode", "unicodedata"),
    "regex": ("regex", "re"),
    # pictures and sound
    "cv2": ("opencv-python-headless", "PIL, numpy and scipy.ndimage"),
    "skimage": ("scikit-image", "PIL, numpy and scipy.ndimage"),
    "imageio": ("imageio", "PIL"),
    "pytesseract": ("", f"{_PROGRAM}; text in pictures can't be read here"),
    "qrcode": ("qrcode", "PIL draws squares, but the code has to be computed"),
    "soundfile": ("soundfile", "wave and scipy.io.wavfile"),
    "librosa": ("", "scipy.signal and scipy.io.wavfile"),
    "moviepy": ("", f"{_PROGRAM}; PIL saves animated GIFs"),
    "pygame": ("", _SCREEN),
    "tkinter": ("", _SCREEN),
    "_tkinter": ("", _SCREEN),
    "turtle": ("", _SCREEN),
    "curses": ("", _SCREEN),
    # mathematics and optimising
    "numba": ("numba", "numpy on whole arrays"),
    "cupy": ("", "numpy"),
    "numexpr": ("numexpr", "numpy"),
    "gmpy2": ("gmpy2", "Python's own integers, math and fractions"),
    "sage": ("", "sympy"),
    "ortools": ("ortools", "scipy.optimize.milp and linear_sum_assignment; itertools"),
    "pulp": ("", f"{_PROGRAM}; scipy.optimize.milp and linprog"),
    "cvxpy": ("cvxpy", "scipy.optimize"),
    "z3": ("z3-solver", "sympy, or a search with itertools"),
    "igraph": ("igraph", "networkx"),
    "simpy": ("simpy", "heapq with a loop over events"),
    "uncertainties": ("uncertainties", "math, or a simulation with numpy.random"),
    "more_itertools": ("more-itertools", "itertools"),
    "sortedcontainers": ("sortedcontainers", "bisect and heapq"),
    "numpy_financial": ("numpy-financial", "the formulas, with scipy.optimize.brentq for rates"),
    # dates, places, sciences
    "pytz": ("", "zoneinfo"),
    "arrow": ("", "datetime and zoneinfo"),
    "pendulum": ("", "datetime and zoneinfo"),
    "dateparser": ("", "datetime.strptime, or pandas.to_datetime"),
    "holidays": ("holidays", "datetime, with the dates written out"),
    "pycountry": ("pycountry", "a dictionary of the countries in question"),
    "babel": ("babel", "format(number, ',') and datetime.strftime"),
    "faker": ("faker", "random"),
    "shapely": ("shapely", "numpy"),
    "geopandas": ("geopandas", "pandas with matplotlib"),
    "pyproj": ("pyproj", "math"),
    "astropy": ("astropy", "datetime, math and scipy.constants"),
    "ephem": ("ephem", "datetime and math"),
    "Bio": ("biopython", "str methods and collections.Counter"),
    "rdkit": ("rdkit", "a dictionary of atomic masses"),
    # frames around code
    "smolagents": ("", "the tools are functions that are already here"),
    "streamlit": ("", "print the result"),
    "dash": ("", "print the result"),
    "flask": ("", "there is no network here"),
    "ray": ("", f"{_PROGRAM}; concurrent.futures.ThreadPoolExecutor"),
    "joblib": ("joblib", "concurrent.futures.ThreadPoolExecutor"),
    "tqdm": ("tqdm", "print"),
    "IPython": ("", "print the value, or leave it on the last line"),
}  # fmt: skip

KNOWN = {name: Known(*row) for name, row in _TABLE.items()}


def package_of(name: str) -> str:
    """The package on the index for an import's or a package's own name; empty for a name that
    is not in the table, or that is not to be installed."""
    if name in KNOWN:
        return KNOWN[name].package
    wanted = normal(name)
    return next((k.package for k in KNOWN.values() if k.package == wanted), "")


def normal(package: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    out = package.strip().lower()
    for sign in "_.":
        out = out.replace(sign, "-")
    while "--" in out:
        out = out.replace("--", "-")
    return out
