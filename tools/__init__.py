"""What the agent's code can call, one tool a file."""
