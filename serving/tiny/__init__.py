"""The workshop of the bundled model: its tasks, its tokenizer and its trainer."""
