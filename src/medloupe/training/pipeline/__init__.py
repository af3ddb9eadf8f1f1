"""From a data set to a model, its card and its report."""
