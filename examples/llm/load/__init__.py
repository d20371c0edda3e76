"""Users of the language model: so many streams at a time, no retries. Run as a process: `python -m examples.llm.load`."""
