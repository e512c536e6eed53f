"""A player that plays nothing: it says results as the real one does, and one play kills the worker that has it.

    python standin_player.py FACTS ROWS POISON

FACTS are the facts of the machine; ROWS has a result for each title of a scenario, which lacks only its play; POISON is
the attempt that kills. Without the site packages it starts in 20 ms.
"""

import json
import os
import signal
import sys
import threading
import time

PLAY_S = 0.05


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(130)


def main(facts: str, rows: str, poison: str) -> None:
    """Answer one order."""
    order, results = json.loads(sys.stdin.readline()), json.loads(rows)
    if order["want"] == "facts":
        print(facts, flush=True)
        return
    threading.Thread(target=_end_with_input, daemon=True).start()
    _say({"shard": "begun"})
    for play, place, attempt, _ in order["plays"]:
        _say({"begun": play})
        title = order["scenarios"][place]["title"]
        time.sleep(PLAY_S)  # a real play starts a world first, and meanwhile its beginning is known to the driver
        if (title, attempt) == (next(iter(results)), int(poison)):
            os.kill(os.getppid(), signal.SIGKILL)
        _say({"result": {**results[title], "play": play}})


def _say(line: object) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)
