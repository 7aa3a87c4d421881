"""Which system to deploy: measured accuracy and exact footprints, searched within limits."""
