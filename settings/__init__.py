"""Every setting, in one place, with a sentence each."""

from settings.common import A_WEEK, BUNDLED_MODEL, PREFIX, ROOT
from settings.load import Settings, load_settings
from settings.options import add_options, env_example

__all__ = [
    "A_WEEK",
    "BUNDLED_MODEL",
    "PREFIX",
    "ROOT",
    "Settings",
    "add_options",
    "env_example",
    "load_settings",
]
