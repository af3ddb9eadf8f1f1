"""How languages write what the pages say: numbers, dates, lists and plurals."""
