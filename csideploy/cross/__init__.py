"""Cross-built code of a part: what it weighs for a target, and how many instructions a run takes."""
