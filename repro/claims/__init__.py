"""Which of the claims of the paper hold, and whether our results moved."""
