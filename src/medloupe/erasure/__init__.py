"""Forget a patient: all that is kept of one goes, wherever it lies, and a receipt says what was deleted where."""
