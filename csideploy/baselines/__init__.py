"""Conventional schemes to stand beside the networks: what a user could take instead."""
