"""Decode in other processes, with bounds on memory and time."""
