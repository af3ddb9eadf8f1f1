"""From an upload to an answer: check-ups, networks, journal; nothing of HTTP."""
