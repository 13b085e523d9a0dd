"""`repro list`: what there is to run and to check."""

import argparse
from pathlib import Path

from repro.errors import UserError
from repro.jobs.plan import expected_seconds
from repro.records.files import write_atomically
from repro.runs import parameters
from repro.runs.registry import all_tasks
from repro.runs.task import Profile, Task
from repro.text import count, duration, shown, table


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "table",
        metavar="TABLE",
        choices=tuple(TABLES),
        help="tasks, variants, profiles, parameters or claims",
    )
    parser.add_argument(
        "--write", metavar="PAGE", type=Path, help="write the parameters of all tasks as a page of Markdown"
    )


def execute(args: argparse.Namespace) -> int:
    """Print one table, or write its page. Raises UserError for a table that has no page."""
    if args.write and args.table != "parameters":
        raise UserError(f"`repro list {args.table}` has no page; --write goes with `repro list parameters`")
    if args.write:
        write_atomically(args.write, parameters.page(all_tasks()).encode())
        print(f"written: {shown(args.write)}")
    else:
        print(TABLES[args.table]())
    return 0


def _tasks() -> str:
    rows = [(task.name, task.figure, count(len(task.variants), "variant"), task.about) for task in all_tasks()]
    return table(rows, ("TASK", "FIGURE", "VARIANTS", "WHAT IT IS"))


def _variants() -> str:
    rows = [
        (task.name, name, variant.label, duration(task.seconds[name]), variant.about)
        for task in all_tasks()
        for name, variant in task.variants.items()
    ]
    return table(rows, ("TASK", "VARIANT", "IN THE PAPER", "ONE RUN", "WHAT IT IS"))


def _profiles() -> str:
    rows = [
        (task.name, name, _seeds(profile), _cost(task, name), _about(profile))
        for task in all_tasks()
        for name, profile in task.profiles.items()
    ]
    return table(rows, ("TASK", "PROFILE", "SEEDS", "CORE TIME", "WHAT IT IS"))


def _seeds(profile: Profile) -> str:
    seeds = profile.seeds
    whole = len(seeds) > 1 and seeds == tuple(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}-{seeds[-1]}" if whole else ",".join(map(str, seeds))


def _cost(task: Task, profile: str) -> str:
    seconds = sum(expected_seconds(task, name, task.resolve(name, profile)) for name in task.variants_of(profile))
    return duration(seconds * len(task.profile(profile).seeds))


def _about(profile: Profile) -> str:
    size = ", ".join(f"{key}={value}" for key, value in profile.settings.items())
    return f"{profile.about} ({size})" if size else profile.about


def _parameters() -> str:
    rows = [
        (task.name, key, value, may_be, f"{source}: {where}")
        for task in all_tasks()
        for key, value, source, may_be, where in parameters.values(task)
    ]
    return table(rows, ("TASK", "KEY", "VALUE", "MAY BE", "WHERE IT COMES FROM"))


def _claims() -> str:
    from repro.claims.claim import load_claims

    rows = [(claim.id, claim.panel, claim.kind, claim.text) for claim in load_claims()]
    return table(rows, ("CLAIM", "PANEL", "KIND", "WHAT THE PAPER CLAIMS"))


TABLES = {
    "tasks": _tasks,
    "variants": _variants,
    "profiles": _profiles,
    "parameters": _parameters,
    "claims": _claims,
}
