"""Channel state information: generated, read, transformed and described."""
