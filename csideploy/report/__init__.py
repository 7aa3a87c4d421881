"""Reports: what a link costs, and whether it computes what it should."""
