"""Accounts: people, their log-ins and tokens, and the log of what they did; nothing of HTTP."""
