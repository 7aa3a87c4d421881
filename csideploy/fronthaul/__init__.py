"""Fronthaul quantization for cell-free massive MIMO: the DU quantizes, the RUs look up (paper 003)."""
