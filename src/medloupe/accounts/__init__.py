"""People, their log-ins and what they did; nothing of HTTP."""
