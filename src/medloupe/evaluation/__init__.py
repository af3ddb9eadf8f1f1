"""A finished model, judged again."""
