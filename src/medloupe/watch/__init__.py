"""Watch check-ups while they answer, and run pilots, in which answers are recorded and not shown."""
