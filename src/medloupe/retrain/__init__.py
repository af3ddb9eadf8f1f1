"""From corrections to a better model: candidates, each judged before it is let in."""
