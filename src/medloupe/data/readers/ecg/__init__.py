"""Readers of ECGs: beats, twelve leads, folders of files."""
