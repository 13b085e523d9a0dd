"""The command line, `repro COMMAND`.

Parses, calls one module of repro.cli, and turns errors into one sentence and an exit status (`repro.errors`): 2 for
bad input, 1 for a run that failed, 75 where the same command continues later, 130 for Ctrl-C. Imports only the module
of the command that is given, and neither torch nor pandas.
"""

import argparse
import importlib
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from repro import __version__, errors
from repro.cli.arguments import Parser
from repro.eprop.errors import UsageError
from repro.errors import Busy, RunFailed, RunPruned, StorageAway, Terminated, UserError
from repro.text import table

# Characters that cannot be printed; the last are bytes that are not UTF-8.
CONTROL = r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]"
COMMANDS = {  # name -> module of repro.cli, what it does
    "reproduce": ("reproduce", "train all runs of a figure, draw it, print which claims hold"),
    "run": ("run", "train one variant with one seed; resumes when called again"),
    "runs": ("runs", "the status of each run, and why one failed"),
    "show": ("show", "one run: its config, where each value comes from, its numbers and history"),
    "figures": ("figures", "draw a figure from records"),
    "check": ("check", "which of the paper's claims hold, from records"),
    "report": ("report", "write one HTML page: every figure, claim, verdict and cause"),
    "readings": ("readings", "in how many readings of the text each claim holds"),
    "questions": ("questions", "answers to what the paper's authors would ask"),
    "regress": ("regress", "whether new runs agree with the accepted ones"),
    "accept": ("accept", "make runs the accepted reference"),
    "migrate": ("migrate", "turn records of an older schema into those of this version"),
    "list": ("listing", "list the tasks, variants, profiles, parameters or claims"),
    "sweep": ("sweep", "train the points of a study with several workers, and compare them"),
    "work": ("work", "add workers to a figure or a study, from any machine that shares the folder"),
    "pack": ("pack", "write runs into one file, for another machine"),
    "import": ("importing", "take runs over: of a file that `pack` wrote, or of W&B"),
    "publish": ("publish", "send figures and verdicts to W&B, or make its dashboard"),
    "data": ("data", "check, download or prepare what the tasks on speech and on text train on"),
    "bench": ("bench", "how fast training is, and against whom"),
}

ABOUT = """\
Reproduces "Biologically inspired alternatives to backpropagation through time
for learning in recurrent neural nets" (Bellec, Scherr et al. 2019)."""

EXAMPLES = """\
examples:
  repro check --brief             the verdicts on the paper's claims, from the
                                  committed records; trains nothing
  repro report                    the same as a page with every figure
  repro reproduce fig1            train figure 1 with one seed, as `make fig1`
  repro reproduce fig1 --dry-run  what that would train, and what it costs
  repro list variants             the learning rules of each figure
  repro run pattern_generation --variant e_prop_1 --set iterations=200
  repro sweep store_recall_threshold
                                  train and compare the points of a study
"""


def build_parser(argv: Sequence[str]) -> Parser:
    """The parser of the whole command line; of the commands, only the one that `argv` names has its arguments."""
    listed = table([(f"  {name}", about) for name, (_, about) in COMMANDS.items()])
    parser = Parser(
        prog="repro",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=ABOUT,
        epilog=f"commands:\n{listed}\n\n{EXAMPLES}",
    )
    parser.add_argument("--version", action="version", version=f"eprop-repro {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", help="one of those below; `repro COMMAND --help` describes it")
    for name, (module_name, about) in COMMANDS.items():
        command = commands.add_parser(name, description=f"{about[0].upper()}{about[1:]}.", allow_abbrev=False)
        if name == next((word for word in argv if not word.startswith("-")), None):
            module = importlib.import_module(f"repro.cli.{module_name}")
            module.add(command)
            command.set_defaults(execute=module.execute, parser=command)
    return parser


def main(argv: Sequence[str] | None = None, callbacks: Sequence[Any] = ()) -> int:
    """Run one command line and return its exit status. `callbacks` watch the training of `repro run`."""
    _open_streams()
    try:
        return _dispatch(sys.argv[1:] if argv is None else argv, callbacks)
    except (Busy, StorageAway) as error:
        return _print_error(f"repro: {error}", errors.UNFINISHED)
    except (UserError, UsageError) as error:
        return _print_error(f"repro: error: {error}", errors.BAD_INPUT)
    except RunFailed as error:
        return _print_error(f"repro: error: {error}", errors.FAILED)
    except RunPruned as stop:
        return _print_error(f"repro: {stop}", errors.PRUNED)
    except KeyboardInterrupt as stop:
        status = errors.UNFINISHED if isinstance(stop, Terminated) else errors.INTERRUPTED
        return _print_error(f"repro: {str(stop) or 'interrupted'}", status)
    except BrokenPipeError:  # `repro list claims | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ModuleNotFoundError, OSError, MemoryError) as error:
        if sentence := _of_the_machine(error):
            return _print_error(f"repro: error: {sentence}", errors.BAD_INPUT)
        raise


def _of_the_machine(error: Exception) -> str | None:
    """A sentence on what this machine lacks; None where our own code is at fault."""
    if isinstance(error, ModuleNotFoundError):
        return errors.not_installed(error.name or "")
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return f"cannot read or write{where}: {error.strerror or error}"
    return "not enough memory; run fewer processes at a time, or a smaller network"


def _open_streams() -> None:
    """Give a stream that the caller has closed (`repro ... >&-`) an end: Python has None there, and the next file that
    is opened would take its number."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  open as long as the process


def _dispatch(argv: Sequence[str], callbacks: Sequence[Any]) -> int:
    for word in argv:
        if re.search(CONTROL, word):
            raise UserError(f"the argument {word!r} has characters that cannot be printed; leave them out")
    parser = build_parser(argv)
    args, rest = parser.parse_known_args(argv, argparse.Namespace(callbacks=callbacks))
    if rest:
        getattr(args, "parser", parser).error(f"unrecognized arguments: {rest[0]}")
    if not hasattr(args, "execute"):
        parser.print_help()
        return 0
    status: int = args.execute(args)
    sys.stdout.flush()  # here, so that a closed pipe is caught below
    return status


def _print_error(sentence: str, status: int) -> int:
    line = re.sub(f"{CONTROL}+", " ", sentence)  # of a file's content, or of its name
    print(re.sub(r"\S{300,}", lambda word: f"{word[0][:100]}...", line), file=sys.stderr)
    return status
