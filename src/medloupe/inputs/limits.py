"""How much a model may read beside the picture: bounds on its columns and notes."""

from __future__ import annotations

FORMAT = 1  # of extras as JSON
MOST_LABELS = 1_000
MOST_COLUMNS = 64
MOST_CHOICES = 20  # values of a category that are told apart
MOST_POOLED = 5 * MOST_CHOICES  # rare values of a category that are told from unknown ones
KNOTS = 8  # of a number
MOST_NUMBERS = 64  # of a column
MOST_DIMENSIONS = 64  # of encoded notes
MOST_MASKS = 200
LONGEST_MASK = 100  # characters
LONGEST_COLUMN = 200  # characters of the name of the notes' column
LONGEST_NETWORK = 300  # characters that name a language network
MOST_WIDTH = 8_192  # numbers of a sentence vector
