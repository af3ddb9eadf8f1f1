"""The studio: a new check-up in the browser, from pictures that are brought to a model that answers."""
