"""The faults that the tests make, about a minute: some of each kind that came out badly once, some that never did."""

SHORT = {
    *(f"kills/a-run/pattern_generation/{number:02}" for number in (0, 2, 3)),
    *(f"kills/a-run/copy_repeat/{number:02}" for number in (2, 3)),
    *(f"kills/accept/accept/{number:02}" for number in (20, 22)),
    *(
        f"mutations/record/{number:03}"
        for number in (0, 2, 6, 14, 17, 29, 33, 42, 48, 51, 58, 80, 84, 120, 130, 140, 150)
    ),
    *(f"mutations/accepted-record/{number:03}" for number in (0, 8, 40, 70, 80, 86)),
    *(f"mutations/arrays/{number:03}" for number in (1, 11, 17, 19, 25)),
    *(f"mutations/checkpoint-pattern_generation/{number:03}" for number in (0, 1, 3, 4, 10, 20, 23, 24)),
    *(f"mutations/lock/{number:03}" for number in (0, 3, 4, 5)),
    *(f"mutations/folder-runs/{number:03}" for number in (0, 3)),
    *(f"mutations/verdicts/{number:03}" for number in (0, 18)),
    *(f"mutations/claims/{number:03}" for number in (0, 40)),
    "mutations/folder-small/000",
    "environment/at-once/0-0.3",
    "environment/at-once/4-0.0",
}
