"""Which tools a session has, and what each is handed."""

from pathlib import Path

from smolagents import Tool

from agent.policy import Policy
from agent.wiring.vision import describer
from agent.wiring.web_tools import web_tools
from memory.history import History
from memory.notes import Notes, format_hits
from settings import Settings
from tools.calculate import Calculate
from tools.convert_units import ConvertUnits
from tools.date_info import DateInfo
from tools.documents import convert
from tools.inspect_table import InspectTable
from tools.read_file import ReadFile
from tools.read_note import ReadNote
from tools.remember import Remember
from tools.search_history import SearchHistory
from tools.search_notes import SearchNotes
from tools.web_search import SearchFunction


def standard_tools(
    settings: Settings,
    workspace: Path,
    history: History,
    *,
    search: SearchFunction | None = None,
    notes: Path | None = None,
) -> list[Tool]:
    """The tools every session has, in the order the prompt lists them."""
    kept = Notes(notes or settings.notes, convert=convert)
    return [
        *web_tools(settings, Policy.parse(settings.tool_policy), search=search),
        ReadFile(workspace, describe=describer(settings), speech_model=settings.speech_model),
        InspectTable(workspace),
        Calculate(),
        ConvertUnits(),
        DateInfo(),
        SearchNotes(lambda query: format_hits(query, kept.search(query))),
        ReadNote(kept.read),
        SearchHistory(lambda query: format_hits(query, history.search(query))),
        Remember(kept.propose),
    ]
