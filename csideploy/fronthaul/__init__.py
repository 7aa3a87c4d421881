"""Fronthaul quantization for cell-free massive MIMO: the DU searches, RUs look up (paper 003)."""
