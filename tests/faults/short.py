"""The faults that the tests make: some of each kind that were bad once, and some that never were."""

SHORT = {
    *(f"kills/a-run/pattern_generation/{number:02}" for number in (0, 2, 3, 7)),
    *(f"kills/a-run/copy_repeat/{number:02}" for number in (2, 3)),
    *(f"kills/accept/accept/{number:02}" for number in (22,)),
}
