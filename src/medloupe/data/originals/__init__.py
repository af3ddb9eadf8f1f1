"""Read well-known public data sets as their downloads unpack: recognised by their shape and read as they should be."""
