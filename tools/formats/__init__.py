"""How each format becomes text. Runs in the converter's process, never in the app's.

Only `kinds` is for the app too: it looks at bytes and parses nothing.
"""
