"""From files to an ECG in millivolts, and from it to heartbeats."""
