"""The runtime: verifies and runs compiled parts. Needs numpy alone."""
