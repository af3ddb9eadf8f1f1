"""`python -m medloupe`."""

from medloupe.cli.app import main

main()
