"""Arguments that several tools have, each described once."""

QUESTION = {
    "type": "string",
    "description": "What you want to know from it, if not all.",
    "nullable": True,
}
PART = {
    "type": "integer",
    "description": "Which part of a long text; 1 if left out.",
    "nullable": True,
}
LANGUAGE = {
    "type": "string",
    "description": "Code of the language, such as de; en if left out.",
    "nullable": True,
}
DATE = {"type": "string", "description": "YYYY-MM-DD, YYYY-MM or YYYY.", "nullable": True}
