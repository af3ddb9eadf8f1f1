"""Lists of health facilities: read from files, checked, joined where they name the same place, searched by distance.

Nothing here knows HTTP, and nothing keeps where somebody was when asking.
"""
