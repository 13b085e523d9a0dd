"""Command lines drawn from a seed: the arguments that each command has, with values that users should not give."""

import itertools
import random
from pathlib import Path

RUN = "pattern_generation"
BAD = (  # a value of any argument
    *("", " ", "nan", "inf", "-inf", "1e400", "-1", "0", "1.5", "true", "[]", "{0}", "%s", "-", "=", ",", "0-"),
    *("\u0663", "\u00b2", "1_0", "9" * 400, "9" * 5000, "x" * 10_000, "../../x", "/", "~", "/dev/null", "\U0001f9a6"),
    *("a\x00b", "\udcff", "a\nb", "\x1b[31m", "runs\x00", "nowhere", "a-file", "a-file/x", "..", ".", "9" * 11),
)
BAD_FOR = {  # and of one
    "--seeds": ("5-1", "1,,2", "0-99999999999", "0-99999", "-3", "0--3", "1-2-3", "\u0663-\u0669"),
    "--panels": (",", "1c,1z", "2a", "1c,,1c"),
    "--max-shift": ("1", "0.5", "1e-400", "0x10"),
    "--logger": ("none,csv", "wandb,", "print"),
    "--storage": ("sqlite://", "sqlite:///a-file", "nothing://x", "redis://nowhere.invalid:0", "://", "a-file/x/y"),
    "--size": ("0,0,0", "1,1", "1,1,1,1", "9999999999,1,1", f"{'9' * 5000},1,1", "\u0663,1,1"),
    "--require": ("*", "a/b/c/d", "//", "pattern_generation/*"),
    "--from": ("ftp://x", "file:///etc/hostname", "http://[", "http://a b"),
}
SETTINGS = ("iterations", "learning_rate", "n_rec", "v_th", "feedback", "rule", "refractory_ms", "no_key", "", "=")
OPTIONS = {  # command -> its options, each with a value that is right (None: it takes none)
    "run": {
        **{"--variant": "e_prop_1", "--profile": "smoke", "--seed": "3", "--set": "iterations=2", "--out": "new"},
        **{"--minutes": "5", "--device": "cpu", "--logger": "none"},
    },
    "reproduce": {
        **{"--profile": "smoke", "--seeds": "0-1", "--jobs": "2", "--panels": "1c", "--logger": "none"},
        **{"--device": "cpu", "--minutes": "0.5", "--dry-run": None},
    },
    "runs": {"--records": "runs", "--json": None},
    "show": {"--json": None},
    "figures": {"--records": "runs", "--panels": "1c", "--out": "new"},
    "check": {
        **{"--figure": "fig1", "--records": "runs", "--junit": "new.xml"},
        **{"--why": None, "--brief": None, "--json": None, "--markdown": None, "--write": "new.md"},
    },
    "regress": {"--records": "runs", "--require": "all", "--max-shift": "3", "--json": None},
    "accept": {"--replace": None},
    "migrate": {"--records": "runs", "--dry-run": None},
    "list": {},
    "sweep": {"--workers": "2", "--storage": "sqlite:///new.db", "--device": "cpu", "--minutes": "0.5"},
    "work": {"--workers": "2", "--device": "cpu", "--minutes": "0.5", "--logger": "none"},
    "pack": {"--output": "new.tar", "--no-checkpoints": None},
    "import": {"--out": "new"},
    "publish": {"--records": "runs", "--profile": "smoke"},
    "data ptb": {"--from": "http://nowhere.invalid"},
    "data timit": {},
    "data stand-in": {"--size": "8,2,2"},
    "data text": {},
    "bench": {"--json": None},
}
WORDS = {  # command -> what comes first, where that is right
    **{"run": "pattern_generation", "reproduce": "fig1", "figures": "fig1", "publish": "fig1", "list": "tasks"},
    **{"sweep": "a_try.toml", "work": "fig1-smoke", "pack": "results/runs", "import": "new.tar"},
    **{"accept": "results/runs", "show": "no/run"},
    **{"data timit": "no-folder", "data text": "a-file"},
}
BELIEVED = {  # what may be taken for a value
    **dict.fromkeys(("--seed", "--jobs", "--workers"), r"[0-9]{1,10}"),
    "--minutes": r"[0-9]{1,7}(\.[0-9]{1,3})?",
    **{"--size": r"[1-9][0-9]{0,5}(,[1-9][0-9]{0,5}){2}"},
    **{"--seeds": r"[0-9, -]+", "--max-shift": r"[1-9][0-9.]*|inf"},
    **{"--profile": r"smoke", "--variant": r"e_prop_1", "--device": "cpu", "--logger": "none", "--panels": r"[1c ,]*"},
}


def drawn_line(chance: random.Random, command: str) -> list[str]:
    """A line of a command: most values are right, some are not, some are missing, some come twice."""
    line = command.split()
    if command in WORDS and chance.random() < 0.95:
        line.append(WORDS[command] if chance.random() < 0.85 else chance.choice(BAD))
    elif chance.random() < 0.3:
        line.append(chance.choice(BAD))
    for option, value in OPTIONS[command].items():
        for _ in range(chance.choice((0, 1, 1, 1, 2) if option == "--set" else (0, 1, 1))):
            line += _given(chance, option, value)
    return line


def _given(chance: random.Random, option: str, value: str | None) -> list[str]:
    if value is None:
        return [option if chance.random() < 0.95 else f"{option}=x"]
    if chance.random() < 0.2:
        value = chance.choice(BAD_FOR.get(option, BAD) if chance.random() < 0.5 else BAD)
        if option == "--set" and chance.random() < 0.9:
            value = f"{chance.choice(SETTINGS)}={value}"
    return [f"{option}={value}"] if chance.random() < 0.7 else [option, value]


def given_values(line: list[str], option: str) -> list[str]:
    """The values that a line gives an option."""
    after = [value for word, value in itertools.pairwise(line) if word == option]
    return after + [word.removeprefix(f"{option}=") for word in line if word.startswith(f"{option}=")]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its content."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
