"""`python -m medloupe`."""

from medloupe.cli import main

main()
