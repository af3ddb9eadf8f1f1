"""Read files as an ECG in millivolts, and find its heartbeats."""
