"""The last resort: a worker that is no Python but an interpreter of a part of it (Monty).

It speaks the same protocol as `sandbox.worker`, so the app sees no difference but in what the
code can do: its language has no files, no network, no processes and no libraries.

    worker        the process: runs steps, calls tools, answers
    engine        one Monty session: run, keep, restore, kill
    observations  what the model reads when something is missing or fails
"""
