"""A task's description: names, variants, profiles, import paths of its classes. No torch in here."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from repro.errors import UserError, unknown
from repro.records.record import run_path
from repro.runs.config import Value, checked, config_hash, field_name, parse_value


@dataclasses.dataclass(frozen=True)
class Variant:
    """One bar of a figure: its label in the paper, what it is, and the config values that make it."""

    label: str
    about: str
    settings: Mapping[str, Value]


@dataclasses.dataclass(frozen=True)
class Profile:
    """A size at which to run: config values that shrink it, the seeds, what it is for, variants that it leaves out."""

    about: str
    settings: Mapping[str, Value]
    seeds: tuple[int, ...]
    without: tuple[str, ...] = ()


def _no_version(config: Any) -> Mapping[str, Value]:
    return {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One experiment of the paper.

    `module` and `data` are import paths ("package.module:Class"), so that a task can be listed without torch. So are
    `summary`, a function (series, config) -> final metrics, and `observers`, a function (config) -> the Lightning
    callbacks that measure and keep the record's arrays and numbers besides the series. A task that trains nothing has
    in their place `measure`, the path of a function (config, seed) -> (metrics, arrays). `panels` are those of the
    figure that its records draw. `seconds` maps a variant to what one run of the paper's size costs on one core; `work`
    are the config keys that this is proportional to, and `whole` maps such a key to what its 0 means, for estimates
    only. `headline` is the metric that a bar of the figure shows, `curves` are the series that a dashboard draws.
    `commands` is the path of a function (subparsers of argparse) that adds sources to `repro data`; each sets
    `make`, a function (arguments). `data_here` gives the config values that follow from the data on this machine;
    `substitutes` are data in place of the paper's (name on the figures -> config values), from which no value of
    the paper can be judged. `data_version` maps a config to the values that identify its data where a user may replace
    them, such as a digest (empty where this machine lacks the data). `listed` are readings of values that the text
    leaves open (key -> values besides the default; keys with choices need none): runs with these are of the paper's
    scale too. `given_up_after` is the key of the iteration at which a run is given up, where that is all it is: runs
    then end by themselves.
    """

    name: str
    figure: str
    panels: tuple[str, ...]
    about: str
    config: type
    variants: Mapping[str, Variant]
    profiles: Mapping[str, Profile]
    module: str = ""
    data: str = ""
    summary: str = ""
    observers: str = ""
    measure: str = ""
    as_built: str = ""
    seconds: Mapping[str, float]
    megabytes: float
    whole: Mapping[str, int] = dataclasses.field(default_factory=dict)
    work: tuple[str, ...] = ()
    headline: str = ""
    curves: tuple[str, ...] = ()
    commands: str = ""
    data_here: Callable[[], Mapping[str, Value]] = dict
    substitutes: Mapping[str, Mapping[str, Value]] = dataclasses.field(default_factory=dict)
    data_version: Callable[[Any], Mapping[str, Value]] = _no_version
    listed: Mapping[str, tuple[Value, ...]] = dataclasses.field(default_factory=dict)
    given_up_after: str = ""

    def __post_init__(self) -> None:
        """Raises UserError where a variant's cost is not given, or a name is not one of a folder of runs."""
        for name in self.variants:
            run_path(self.name, name, "0" * 8, 0)
        if missing := [name for name in self.variants if name not in self.seconds]:
            raise UserError(f"the task {self.name} does not state how many `seconds` a run of {missing[0]} takes")

    def resolve(
        self,
        variant: str,
        profile: str,
        overrides: Mapping[str, str] | None = None,
        data: Mapping[str, Value] | None = None,
    ) -> Any:
        """The config of one run: the paper's values, then the variant's, the profile's, those of the `data` (what this
        machine has, if None), the user's `--set`; and the version of the data, where `--set` names none.

        Raises UserError when a name, key, type or range is wrong.
        """
        data = self.data_here() if data is None else data
        chosen = {**self.variant(variant).settings, **self.profile(profile).settings, **data}
        typed = {key: checked(self.config, key, value) for key, value in chosen.items()}
        typed |= {key: parse_value(self.config, key, text) for key, text in self._by_field(overrides or {}).items()}
        config = self.config(**typed)
        version = {key: value for key, value in self.data_version(config).items() if key not in typed}
        return dataclasses.replace(config, **version)

    def _by_field(self, overrides: Mapping[str, str]) -> dict[str, str]:
        """The same with the fields' names of today. Raises UserError for an unknown key, or two of one field."""
        fields: dict[str, str] = {}
        for key in overrides:
            if (other := fields.setdefault(field_name(self.config, key), key)) != key:
                raise UserError(f"{key} and {other} are the same key: {key} was renamed; leave one of them out")
        return {field: overrides[key] for field, key in fields.items()}

    def variant(self, name: str) -> Variant:
        """The variant of that name. Raises UserError when there is none."""
        return _pick(self.variants, name, "variant", self.name)

    def profile(self, name: str) -> Profile:
        """The profile of that name. Raises UserError when there is none."""
        return _pick(self.profiles, name, "profile", self.name)

    def variants_of(self, profile: str) -> list[str]:
        """The variants that a profile trains. Raises UserError when there is no such profile."""
        return [name for name in self.variants if name not in self.profile(profile).without]

    def paper_hash(self, variant: str) -> str:
        """The hash that a record of this variant has at the paper's scale."""
        return config_hash(self.config(**self.variant(variant).settings))

    def substitute(self) -> str:
        """Which data this machine has in place of the paper's; empty where it has these."""
        here = self.data_here()
        return next((name for name, values in self.substitutes.items() if dict(values) == dict(here)), "")

    def data_of(self, config: Any) -> str:
        """Which data a run of a config is trained on in place of the paper's; empty where it has these."""
        for name, values in self.substitutes.items():
            if all(getattr(config, key) == value for key, value in values.items()):
                return name
        return ""

    def load(self, what: str) -> Any:
        """Import what a path of the task names, such as "module" (this is where torch is imported)."""
        path, name = getattr(self, what).split(":")
        return getattr(importlib.import_module(path), name)


def _pick(options: Mapping[str, Any], name: str, kind: str, task: str) -> Any:
    if name not in options:
        raise unknown(kind, name, options, of=task)
    return options[name]
