"""`python -m ganport_cli`: the command line without its console script."""

from ganport_cli import main

main()
