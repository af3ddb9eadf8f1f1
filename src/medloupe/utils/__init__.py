"""Files, arrays and work in threads, of no field."""
