"""Quantizers of features and weights that training runs through."""
