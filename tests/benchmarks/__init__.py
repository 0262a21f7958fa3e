"""Figures, measured on request."""
