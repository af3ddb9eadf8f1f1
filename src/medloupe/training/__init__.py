"""From labels to heads, tails and weights: the only place where anything is fitted."""
