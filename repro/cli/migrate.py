"""`repro migrate`: records of an older schema become records of this version."""

import argparse

from repro.cli.arguments import add_records
from repro.records import store
from repro.text import count, shown


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_records(parser, "accepted")
    parser.add_argument("--dry-run", action="store_true", help="print what would change and stop")


def execute(args: argparse.Namespace) -> int:
    """Rewrite the records that need it, all or none, and the list of the accepted files."""
    from repro.records.files import write_atomically
    from repro.records.migrate import migrate
    from repro.records.sums import SUMS, sums_of, sums_text

    root = store.folder(args.records)
    folders = store.record_folders(root, verified=False)  # old records may have no list yet
    accepted = store.is_accepted(root) and bool(folders) and not args.dry_run
    if accepted and migrate(folders, dry_run=True):
        (root / SUMS).unlink(missing_ok=True)  # a process that ends too early leaves no list, not a wrong one
    changed = migrate(folders, args.dry_run)
    for folder in changed:
        print(f"{'would migrate' if args.dry_run else 'migrated'} {shown(folder)}")
    if accepted and not (root / SUMS).exists():
        write_atomically(root / SUMS, sums_text(sums_of(root)))
    print(f"{len(changed)} of {count(len(folders), 'record')} {'to migrate' if args.dry_run else 'migrated'}")
    return 0
