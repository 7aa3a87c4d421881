"""Integer arithmetic: the NumPy reference of operations 30 to 38, which is their specification.

The C kernels equal these functions bit for bit on every target; docs/numerics.md says the rules in
words. What the compiler needs besides, scales, tables and thresholds, is in `scales` and `tables`.
"""
