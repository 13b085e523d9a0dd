"""Damage to files that a user writes, claims.toml and study files: each is a mistake that must be refused."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults import damage
from tests.faults.damage import Damage

VALUES = ("nan", "inf", "true", '""', "[]", "{}", "[[1]]", "-1", damage.LONG, "1979-05-27", "[nan]", "{ a = 1 }")


def study_edits(seed: int) -> Iterator[Damage]:
    """Mistakes in a study file."""
    for key, wrong in {
        "about": (0, 4),
        "task": (0, 3),
        "variants": (0, 3, 4, 6, 11),
        "profile": (1, 3, 4),
        "metric": (0, 3, 4, 5),
        "direction": (0, 3, 8),
        "seeds": (0, 2, 3, 4, 6, 7, 8, 10),
        "best": (0, 1, 2, 3, 4, 7, 8, 9),
        "best_seeds": (0, 3, 6, 7, 8),
        "n_rec": (0, 1, 2, 3, 4, 5, 7, 8, 9),
        "learning_rate": (0, 1, 2, 3, 4, 5, 6, 7, 10, 11),
    }.items():
        for index in wrong:
            yield Damage(f"{key} = {damage.shown(VALUES[index])}", _value(key, VALUES[index]))
    for key in ("about", "variants", "task", "seeds"):
        yield Damage(f"without {key}", _sub(rf"(?m)^{key} = .*\n", ""))
        yield Damage(f"{key} twice", _sub(rf"(?m)^({key} = .*\n)", r"\1\1"))
    yield Damage("an unknown key", _sub(r"\A", "more = 1\n"))
    yield from _text(seed)


def claim_edits(seed: int) -> Iterator[Damage]:
    """Mistakes in the claims."""
    for key, wrong in {
        "id": (0, 4),
        "panel": (0, 4),
        "kind": (0, 3, 4),
        "text": (0, 4, 9),
        "task": (0, 2, 4),
        "variant": (0, 4),
        "metric": (0, 4),
        "claimed": (0, 1, 2, 3, 4, 8, 9),
        "tolerance": (0, 3, 4, 8),
        "statistic": (0, 3, 4),
        "readings": (0, 2, 3, 7),
        "factor": (0, 1, 2, 3, 4, 7, 8),
    }.items():
        for index in wrong:
            yield Damage(f"{key} = {damage.shown(VALUES[index])}", _value(key, VALUES[index]))
    for key in ("id", "kind", "text", "task", "tolerance"):
        yield Damage(f"without {key}", _sub(rf"(?m)^{key} = .*\n", ""))
        yield Damage(f"{key} twice", _sub(rf"(?m)^({key} = .*\n)", r"\1\1"))
    yield Damage("an unknown key", _sub(r"(?m)^id = ", "more = 1\nid = "))
    yield from _text(seed)


def _text(seed: int) -> Iterator[Damage]:
    """Damage to the text itself."""
    yield Damage("100,000 brackets", _whole(lambda text: f"a = {damage.DEEP}"))
    yield Damage("an array 5,000 deep", _whole(lambda text: f"a = {'[' * 5000}{']' * 5000}\n{text}"))
    yield Damage("half of it", _whole(lambda text: text[: len(text) // 2 + 7] + "["))
    yield Damage("empty", _whole(lambda text: ""))
    yield Damage("a list of the last table twice", _whole(lambda text: text + "\n[grid]\n[tolerances]\n[grid]\n"))
    yield Damage("NUL bytes", _whole(lambda text: text[:40] + "\0" * 9 + text[40:]))
    yield Damage(
        "bytes that are not UTF-8", lambda path: path.write_bytes(path.read_bytes() + b"# \xff\xfe\n") and None
    )
    yield from damage.other_things()


def _value(key: str, value: str) -> Callable[[Path], None]:
    if key == "factor":
        return _sub(r"factor = [\d.]+", f"factor = {value}")
    return _sub(rf"(?m)^{key} = .*$", f"{key} = {value}")


def _sub(pattern: str, text: str) -> Callable[[Path], None]:
    return _whole(lambda old: re.sub(pattern, text, old, count=1))


def _whole(change: Callable[[str], str]) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        path.write_text(change(path.read_text()))

    return rewrite
