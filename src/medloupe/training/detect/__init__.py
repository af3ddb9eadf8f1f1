"""Train detectors: a head that finds places, on the maps of the shared network."""
