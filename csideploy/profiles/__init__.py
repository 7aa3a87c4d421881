"""Rules for links that come from outside: what 3GPP reported for two-sided CSI compression."""
