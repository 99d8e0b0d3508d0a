"""What `agent.build` puts together, one part a file. Wiring, no logic."""
