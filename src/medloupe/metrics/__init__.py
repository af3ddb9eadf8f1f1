"""From predictions and truth to figures; knows no model."""
