"""Photos that nobody should send, by the hundred thousand: `python -m tests.fuzz --count 100000`."""
