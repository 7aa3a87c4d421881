"""`python -m csideploy`: the command line, without the script on the path."""

from csideploy.cli import main

main()
