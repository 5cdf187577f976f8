"""What is checked, and counted."""

import os
import time

MASTER, OURS = int(os.environ["MASTER_PORT"]), int(os.environ["REPLICA_PORT"])
_done = 0


def check(condition, what):
    global _done
    assert condition, what
    _done += 1


def done():
    """How many have been."""
    return _done


def eventually(what, test):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if test():
            return check(True, what)
        time.sleep(0.005)
    check(False, f"{what}: not in 30 seconds")
