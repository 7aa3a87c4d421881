"""Fronthaul of cell-free massive MIMO: quantizers that a distributed unit runs."""
