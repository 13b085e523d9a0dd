"""`repro data`: what tasks train on, checked, downloaded or made before anything does. The tasks bring the commands."""

import argparse

from repro.runs.registry import all_tasks
from repro.text import table


def add(parser: argparse.ArgumentParser) -> None:
    """Add the commands of all tasks."""
    sources = parser.add_subparsers(metavar="SOURCE", required=True, help="the data to prepare")
    for task in all_tasks():
        if task.commands:
            task.load("commands")(sources)
    sources.help = "one of those below; `repro data SOURCE --help` describes it"
    about = [(f"  {name}", str(choice.description).split(". ")[0]) for name, choice in sources.choices.items()]
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, f"sources:\n{table(about)}"


def execute(args: argparse.Namespace) -> int:
    """Do what the source asks for, and print what is there."""
    args.make(args)
    return 0
