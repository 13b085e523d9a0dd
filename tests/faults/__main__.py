"""`python -m tests.faults`: make faults, print how many came out badly, and which. See docs/reliability.md."""

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.faults import commands, environment, kills, mutations, table
from tests.faults.outcome import BAD, Fault, Outcome
from tests.faults.sandbox import Bench
from tests.faults.short import SHORT

HERE = Path(__file__).parents[2]
SEED = 16  # the generators were written on the code before its repair
GROUPS: Mapping[str, Callable[[int], Iterator[Fault]]] = {
    "kills": kills.faults,
    "mutations": mutations.faults,
    "environment": environment.faults,
}


def main() -> int:
    """Make the faults that are asked for; 1 where one came out badly."""
    args = _arguments()
    wanted = chosen(args)
    if args.list:
        print("\n".join(f"{fault.name}  {fault.about}" for fault in wanted))
        return 0
    if not wanted:
        print(f"no fault is called {args.repeat}; --list prints the names", file=sys.stderr)
        return 2
    checkout: Path = args.checkout.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    log = args.work / f"results-{args.seed}-{fingerprint(checkout)}.jsonl"
    known = {} if args.repeat or args.short else _read(log)
    commands.preload()
    bench = Bench(checkout, args.work.resolve() / f"sandbox-{time.time_ns()}")
    try:
        results = [(fault, known.get(fault.name) or _make(fault, bench, log)) for fault in _in_order(wanted, args)]
    finally:
        shutil.rmtree(bench.folder, ignore_errors=True)
    print(table.as_text(results))
    if args.before:
        table.write_before(results, _commit(checkout), args.seed)
    if args.write:
        table.write_page(results, args.write, args.seed)
    return int(any(outcome.word in BAD for _, outcome in results))


def chosen(args: argparse.Namespace) -> list[Fault]:
    """The faults that are asked for."""
    wanted = [fault for name in args.only or GROUPS for fault in GROUPS[name](args.seed)]
    if args.short:
        wanted = [fault for fault in wanted if fault.name in SHORT]
    if args.repeat:
        wanted = [fault for fault in wanted if fault.name.startswith(tuple(args.repeat))]
    return wanted


def _in_order(wanted: Sequence[Fault], args: argparse.Namespace) -> list[Fault]:
    """Shuffled, so that the first minutes see something of each kind, and cut into parts."""
    shuffled = list(wanted)
    random.Random(args.seed).shuffle(shuffled)
    first, _, of = args.part.partition("/")
    return shuffled[int(first) - 1 :: int(of)]


def _make(fault: Fault, bench: Bench, log: Path) -> Outcome:
    """Make one fault, and keep what came of it, so that an interrupted call can be resumed."""
    outcome = fault.make(bench)
    with log.open("a") as file:
        file.write(json.dumps([fault.name, outcome.word, outcome.command, outcome.detail]) + "\n")
    print(f"{outcome.word}: {fault.name}: {fault.about}", file=sys.stderr, flush=True)
    return outcome


def _read(log: Path) -> dict[str, Outcome]:
    if not log.exists():
        return {}
    return {name: Outcome(*rest) for name, *rest in map(json.loads, log.read_text().splitlines())}


def fingerprint(checkout: Path) -> str:
    """A hash of the code: results of other code are not resumed."""
    digest = hashlib.sha256()
    folders = (checkout / "repro", checkout / "tasks", checkout / "paper_figures", Path(__file__).parent)
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _commit(checkout: Path) -> str:
    """The last commit that changed the code that is tried."""
    asked = ["git", "-C", str(checkout), "log", "-1", "--format=%H", "--", "repro", "tasks", "paper_figures"]
    return subprocess.run(asked, capture_output=True, text=True).stdout.strip() or "unknown"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="of the generators")
    parser.add_argument("--only", action="append", choices=GROUPS, help="these faults only; may be repeated")
    parser.add_argument("--short", action="store_true", help="the part that the tests run")
    parser.add_argument("--part", metavar="K/N", default="1/1", help="the K-th of N parts")
    parser.add_argument("--repeat", metavar="NAME", action="append", help="faults whose names begin so, once more")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--checkout", metavar="DIR", type=Path, default=HERE, help="the code that is tried")
    parser.add_argument(
        "--work", metavar="DIR", type=Path, default=HERE / "build" / "faults", help="sandboxes and results"
    )
    parser.add_argument("--write", metavar="FILE", type=Path, help="write the page, such as docs/reliability.md")
    parser.add_argument("--before", action="store_true", help="keep the numbers as those of the code before a repair")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
