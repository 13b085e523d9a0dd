"""A worker in the place of training: the words of its orders are Python code."""

import os
import sys

from repro.jobs.run_process import Order, Orders


def do(order: Order) -> int:
    """Run the code with its output in the log; the exit status."""
    file = os.open(order.log, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    try:
        exec("\n".join(order.words), {"until": order.until})
    except SystemExit as stop:
        print(stop.code, file=sys.stderr)
        return stop.code if isinstance(stop.code, int) else 1
    return 0


if __name__ == "__main__":
    orders = Orders()
    while True:
        orders.ended(do(orders.take()))
