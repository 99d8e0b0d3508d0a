"""The checks of the executor's conformance suite, by subject."""
