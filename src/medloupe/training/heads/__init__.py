"""Fit, calibrate and judge linear heads."""
