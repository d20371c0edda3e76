"""An open-loop load generator for the digits service, run as a process of its own: `python -m examples.digits.load`."""
