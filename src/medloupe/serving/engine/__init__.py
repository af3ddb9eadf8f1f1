"""From an upload to an answer: networks, check-ups, journal."""
