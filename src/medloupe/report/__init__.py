"""Make the pages for people: one JSON in, one HTML file out that opens offline, prints, and loads nothing."""
