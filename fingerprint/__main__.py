"""`python -m fingerprint`: the command line."""

from fingerprint._cli.main import program

program()
