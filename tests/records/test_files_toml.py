"""Study files and claims with seeded damage: one sentence, or an object of the same meaning."""

import random
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.claims.claim import CLAIMS, load_claims
from repro.errors import UserError
from repro.studies import studyfile

STUDY = studyfile.STUDIES / "store_recall_threshold.toml"
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


@pytest.mark.parametrize(
    ("source", "read"), [(STUDY, studyfile.load), (CLAIMS, load_claims)], ids=["a study", "the claims"]
)
def test_damage_is_a_sentence_or_harmless(source: Path, read: Callable[[Path], object], tmp_path: Path) -> None:
    chance, refused, path = random.Random(11), 0, tmp_path / source.name
    text = source.read_text()
    for number in range(200):
        data = damaged(text, chance)
        path.write_bytes(data)
        try:
            read(path)
        except UserError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 1000, (number, data[:300])
        else:
            assert tomllib.loads(data.decode()) is not None
    assert refused > 100
    path.write_text(text)  # control
    assert read(path) == read(source)


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
