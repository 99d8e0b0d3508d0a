"""What is kept: the notes folder and what was remembered."""
