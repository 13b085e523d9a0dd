"""`repro data`: what the tasks on speech and on text train on, checked, fetched or made before anything does."""

import argparse

from repro.cli import data_speech, data_words


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    sources = parser.add_subparsers(metavar="SOURCE", required=True, help="timit, stand-in, ptb or text")
    data_speech.add(sources)
    data_words.add(sources)


def execute(args: argparse.Namespace) -> int:
    """Do what the source asks for, and say what is there."""
    args.make(args)
    return 0
