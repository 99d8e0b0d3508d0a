"""One conversation: the loop, its context, its events and its session."""
