"""The rows of `python -m benchmarks`, one subject a file."""
