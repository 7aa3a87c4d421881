"""Cross-built code of a part: what it weighs for a target, and instructions of a run."""
