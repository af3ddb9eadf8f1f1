"""Train on a data set: model, card, report and a version in the store."""
