"""`python -m tests.faults`: make all faults, print the table. See docs/reliability.md."""

import argparse
import json
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults import commands, environment, kills, mutations, table
from tests.faults.outcome import BAD, Fault, Outcome
from tests.faults.sandbox import Bench

HERE = Path(__file__).parents[2]
SEED = 16  # committed before anything was repaired
GROUPS: dict[str, Callable[[int], Iterator[Fault]]] = {"kills": kills.faults, "mutations": mutations.faults, "environment": environment.faults}


def main() -> int:
    """Make the faults that are asked for; 1 where one came out badly."""
    args = _arguments()
    bench_folder = args.work / f"sandbox-{args.part.replace('/', '-')}-{'-'.join(args.only or GROUPS)}"
    wanted = [fault for name in args.only or GROUPS for fault in GROUPS[name](args.seed)]
    if args.repeat:
        wanted = [fault for fault in wanted if fault.name.startswith(args.repeat)]
    first, _, of = args.part.partition("/")
    random.Random(args.seed).shuffle(wanted)  # so that the first minutes see something of each kind
    wanted = wanted[int(first) - 1 :: int(of)]
    if args.list:
        print("\n".join(f"{fault.name}  {fault.about}" for fault in wanted))
        return 0
    commands.preload()
    bench = Bench(args.checkout.resolve(), bench_folder.resolve())
    log = args.work / "results.jsonl"
    known = {} if args.repeat else _read(log)
    results = []
    start = time.monotonic()
    for number, fault in enumerate(wanted, 1):
        outcome = known.get(fault.name) or make(fault, bench)
        if fault.name not in known and not args.repeat:
            with log.open("a") as file:
                file.write(json.dumps([fault.name, outcome.word, outcome.command, outcome.detail]) + "\n")
        results.append((fault, outcome))
        if outcome.word in BAD or args.repeat:
            print(f"{number}/{len(wanted)} {time.monotonic() - start:.0f} s  {outcome.word}: {fault.name}: {fault.about}; "
                  f"{outcome.command}: {outcome.detail}", flush=True)
    print(table.as_text(results))
    shutil.rmtree(bench_folder, ignore_errors=True)
    return int(any(outcome.word in BAD for _, outcome in results))


def make(fault: Fault, bench: Bench) -> Outcome:
    """Make one fault."""
    return fault.make(bench)


def _read(log: Path) -> dict[str, Outcome]:
    if not log.exists():
        return {}
    return {name: Outcome(*rest) for name, *rest in map(json.loads, log.read_text().splitlines())}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", action="append", choices=GROUPS)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--repeat", metavar="NAME")
    parser.add_argument("--part", default="1/1", metavar="K/N")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--checkout", type=Path, default=HERE)
    parser.add_argument("--work", type=Path, default=HERE / "build" / "faults")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    return args


if __name__ == "__main__":
    sys.exit(main())
