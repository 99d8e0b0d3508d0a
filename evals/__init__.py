"""How well the agent does: tasks with known answers, run through the whole agent."""
