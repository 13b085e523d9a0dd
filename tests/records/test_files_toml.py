"""Study files, claims and verdicts with seeded damage: one sentence, or an object of the same meaning."""

import dataclasses
import json
import random
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repro.claims.claim import CLAIMS, load_claims
from repro.claims.verdicts import RANK, read_verdicts
from repro.errors import UserError
from repro.records.store import VERDICTS
from repro.studies import studyfile
from repro.studies.studyfile import STUDIES

MOST = [STUDIES / "store_recall_threshold.toml", STUDIES / "store_recall_search.toml", CLAIMS]  # damaged most often
TOKENS = [
    *(
        "nan",
        "inf",
        "-1",
        "1e400",
        "9" * 400,
        "true",
        "[]",
        "{}",
        '""',
        "'../../x'",
        '"\\u0000"',
        "1979-05-27",
        "[1, 'a']",
    ),
    *("[" * 100_000, '"' + "x" * 100_000 + '"', "=", "\x00", "[[", "]]", "\n[[x]]\n", "\nx = 1\n", "0.5", "-0.0"),
]


def damaged(text: str, chance: random.Random) -> bytes:
    """A file with a line, a value, a byte or a half that is wrong."""
    lines = text.splitlines()
    place = chance.randrange(len(lines))
    kind = chance.randrange(6)
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines.insert(place, lines[chance.randrange(len(lines))])
    elif kind in (2, 3) and "=" in lines[place]:
        lines[place] = lines[place].split("=")[0] + "= " + chance.choice(TOKENS)
    elif kind == 4:
        data = bytearray(text.encode())
        data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data)
    else:
        return text.encode()[: chance.randrange(len(text))]
    return "\n".join(lines).encode()


def study_as_written(data: dict[str, Any], study: Any) -> None:
    """A study has what its file has."""
    assert (study.about, study.task, study.profile) == (data["about"], data["task"], data["profile"])
    assert list(study.seeds) == data["seeds"] and all(type(seed) is int for seed in study.seeds)
    assert {key: list(values) for key, values in study.grid.items()} == data.get("grid", {})
    ranges = {key: (line["low"], line["high"], line.get("log", False)) for key, line in data.get("ranges", {}).items()}
    assert {key: (each.low, each.high, each.log) for key, each in study.ranges.items()} == ranges
    assert {key: list(each.first) for key, each in study.ranges.items()} == {
        key: line.get("first", []) for key, line in data.get("ranges", {}).items()
    }
    sampler = {"seed": 0, "hours": None} | data["sampler"] if "sampler" in data else None
    assert (dataclasses.asdict(study.sampler) if study.sampler else None) == sampler
    assert study.objective == data.get("objective", "mean")
    assert dict(study.settings) == data.get("settings", {})
    assert (study.best, list(study.best_seeds)) == (data.get("best", 0), data.get("best_seeds") or [])
    assert dict(study.printed) == data.get("printed", {})


def claims_as_written(data: dict[str, Any], claims: list[Any]) -> None:
    """Claims have what the file has."""
    tables = {key: data.pop(key, {}) for key in ("tolerances", "requirements", "licences", "seeds", "worse")}
    rows = [(figure, row) for figure, rows in data.items() for row in rows]
    assert len(rows) == len(claims)
    for (figure, row), claim in zip(rows, claims, strict=True):
        assert (claim.figure, claim.licence) == (figure, tables["licences"].get(row["task"], ""))
        for key in set(row) - {"tolerance", "relations", "requires", "share"}:
            assert getattr(claim, key) == row[key] and isinstance(row[key], bool) == (key in ("at_least", "fitted"))
        for key, value in row.get("share", {}).items():
            assert getattr(claim.share, key) == (tuple(value) if isinstance(value, list) else value)
        assert {key: getattr(claim.seeds, key) for key in tables["seeds"].get(row["task"], {})} == tables["seeds"].get(
            row["task"], {}
        )
        if width := tables["tolerances"].get(row.get("tolerance", "")):
            assert claim.tolerance.why == width["why"]
            kind = claim.tolerance.kind
            assert width[kind] == (list(claim.tolerance.ladder) if kind == "ladder" else claim.tolerance.size)


CASES = [
    *((path, studyfile.load, study_as_written) for path in sorted(studyfile.STUDIES.glob("*.toml"))),
    (CLAIMS, load_claims, claims_as_written),
]


@pytest.mark.parametrize(("source", "read", "check"), CASES, ids=[case[0].stem for case in CASES])
def test_damage_is_a_sentence_or_harmless(
    source: Path, read: Callable[[Path], Any], check: Callable[[dict[str, Any], Any], None], tmp_path: Path
) -> None:
    chance, refused, path = random.Random(11), 0, tmp_path / source.name
    text = source.read_text()
    for number in range(200 if source in MOST else 60):
        data = damaged(text, chance)
        path.write_bytes(data)
        try:
            result = read(path)
        except UserError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 1000, (number, data[:300])
        else:
            check(tomllib.loads(data.decode()), result)
    assert refused > 20
    path.write_text(text)  # control
    assert read(path) == read(source)


VERDICT = [None, True, 1, 1e3, "", "best", [], {}, ["reproduced"], {"a": "reproduced"}, "Reproduced", "x" * 100_000]


def test_damaged_verdicts(tmp_path: Path) -> None:
    chance, refused = random.Random(12), 0
    source = STUDIES.parent / "results" / "accepted" / VERDICTS
    verdicts, path = json.loads(source.read_text()), tmp_path / VERDICTS
    for _ in range(200):
        other = verdicts | {chance.choice([*verdicts]): chance.choice(VERDICT)}
        text = json.dumps(other if chance.random() < 0.5 else verdicts, indent=1)
        data = damaged(text.replace(": ", " = "), chance).replace(b" = ", b": ")
        path.write_bytes(data)
        try:
            result = read_verdicts(tmp_path)
        except UserError as error:
            refused += 1
            assert VERDICTS in str(error) and "\n" not in str(error) and len(str(error)) < 1000
        else:
            assert result == json.loads(data) and set(result.values()) <= set(RANK)
    assert refused > 100
    path.write_text(json.dumps(verdicts))  # control
    assert read_verdicts(tmp_path) == verdicts


@pytest.mark.parametrize("thing", ["folder", "link to nowhere", "huge"])
@pytest.mark.parametrize("read", [studyfile.load, load_claims], ids=["a study", "the claims"])
def test_what_is_no_file(thing: str, read: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    if thing == "folder":
        path.mkdir()
    elif thing == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"x\.toml"):
        read(path)
