"""Figures of single parts, measured on request; `processor bench` measures the whole."""
