"""What the user types, checked before anything heavy is imported: seeds, settings, names, folders."""

import argparse
import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

from repro.errors import UserError, unknown
from repro.records.loggers import parse_loggers

MOST_SEEDS = 10_000
LARGEST_SEED = 2**31 - 1


class Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are sentences (UserError) that name the nearest word."""

    def error(self, message: str) -> NoReturn:
        """Raises UserError in place of usage and exit."""
        raise UserError(f"{_with_hint(self, message)} (see `{self.prog} --help`)")


def _with_hint(parser: argparse.ArgumentParser, message: str) -> str:
    choice = re.search(r"argument (\S+): invalid choice: '([^']*)' \(choose from (.*)\)", message)
    if choice:
        return str(unknown(choice[1].lower(), choice[2], re.findall(r"[\w-]+", choice[3])))
    option = re.search(r"unrecognized arguments: (\S+)", message)
    if option:
        return str(unknown("argument", option[1], _options(parser)))
    return message


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from (word for word in action.option_strings if word.startswith("--"))


def add_records(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --records: where a command reads records."""
    marks = {name: ", the default" * (name == default) for name in ("runs", "accepted")}
    parser.add_argument(
        "--records",
        metavar="WHERE",
        default=default,
        help=f"runs (yours{marks['runs']}), accepted (the committed ones{marks['accepted']}), the name of a study "
        "or a folder",
    )


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds as a user writes them: "3" is a count (0, 1, 2); "0-9", "0,3,5" and "0-2,7" are lists.

    Raises UserError when the text is none of these, names no seed, or more than 10000.
    """
    parts = [part.strip() for part in text.split(",")]
    spans = [re.fullmatch(r"([0-9]{1,10})(?:-([0-9]{1,10}))?", part) for part in parts]
    pairs = [(int(span[1]), int(span[2] or span[1])) for span in spans if span]
    if len(pairs) < len(parts) or any(first > last or last > LARGEST_SEED for first, last in pairs):
        raise UserError(f"--seeds {text}: wants a count such as 3, a range such as 0-9, or a list such as 0,3,5")
    if len(parts) == 1 and "-" not in text:
        pairs = [(0, pairs[0][0] - 1)]
    number = sum(last - first + 1 for first, last in pairs)
    if not 1 <= number <= MOST_SEEDS:
        raise UserError(f"--seeds {text}: names {number} seeds; wants 1 to {MOST_SEEDS}")
    return tuple(sorted({seed for first, last in pairs for seed in range(first, last + 1)}))


def parse_settings(pairs: Sequence[str]) -> dict[str, str]:
    """The values of `--set KEY=VALUE`, still as text. Raises UserError without a "=" or for a key given twice."""
    settings: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            raise UserError(f"--set {pair}: wants KEY=VALUE, such as --set iterations=100")
        if key in settings:
            raise UserError(f"--set {pair}: {key} is given twice")
        settings[key] = value
    return settings


def parse_list(text: str | None) -> tuple[str, ...] | None:
    """Words between commas: "1c,1d" -> ("1c", "1d"); nothing -> None."""
    words = tuple(word.strip() for word in (text or "").split(",") if word.strip())
    return words or None


def checked_int(what: str, value: str, low: int, high: int = LARGEST_SEED) -> int:
    """A whole number between bounds. Raises UserError."""
    if not re.fullmatch(r"[0-9]{1,10}", value) or not low <= int(value) <= high:
        raise UserError(f"{what} {value}: wants a whole number from {low} to {high}")
    return int(value)


def checked_minutes(text: str) -> float:
    """A number of minutes such as 90 or 0.5. Raises UserError."""
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,3})?", text):
        raise UserError(f"--minutes {text}: wants a number of minutes, such as 90 or 0.5")
    return float(text)


def add_logger(parser: argparse.ArgumentParser, default: str = "wandb by default, where it is installed") -> None:
    """Add `--logger`: a tuple of names, None where it is not given."""
    parser.add_argument(
        "--logger",
        metavar="LIST",
        type=parse_loggers,
        help=f"what mirrors the run: wandb, tensorboard, csv, several such as wandb,csv, or none; {default}",
    )
