"""Where the agent's code runs: a separate process behind a framed channel."""
