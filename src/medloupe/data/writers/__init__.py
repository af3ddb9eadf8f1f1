"""Write boxes in the forms that annotation and evaluation tools read."""
