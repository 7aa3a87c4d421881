"""Fronthaul of cell-free massive MIMO: what a DU sends its RUs, a few bits a channel use."""
