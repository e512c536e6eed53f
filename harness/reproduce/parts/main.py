"""The command: play it once, print what happened, and say with the exit status whether it fails as found."""

from __future__ import annotations

import importlib.util
import json
import platform
import sys

from harness.reproduce.parts.play import Play
from harness.reproduce.parts.rank import run_rank
from harness.reproduce.parts.scene import NEVER, Scene

AS_EXPECTED, AS_FOUND, UNDECIDED = 0, 1, 2


def main(scene: Scene) -> int:
    if sys.argv[1:2] == ["--rank"]:
        run_rank(scene, int(sys.argv[2]), json.loads(sys.argv[4]))
    if importlib.util.find_spec("torch") is None:
        print(f"{sys.executable} has no torch")
        return UNDECIDED
    play = Play(scene)
    try:
        play.run()
    except Exception as error:
        print(f"cannot be played: {type(error).__name__}: {error}")
        return UNDECIDED
    torch = next(iter(play.processes.values())).torch
    print(f"torch {torch}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for call in sorted(play.calls.values(), key=lambda call: (call.begun or call.ended or NEVER, call.rank)):
        when = call.begun or call.ended
        print("   never" if when is None else f"{when - play.started:6.3f} s", f" {call}\n{call.stacks}".rstrip())
    missed = [fault.name for fault in scene.faults if not fault.acted]
    broken = {name: why for name, claim in scene.expect.items() if (why := claim(play))}
    for name in scene.expect:
        print(f"BROKEN {name}: {broken[name]}" if name in broken else f"holds  {name}")
    if missed or (broken and scene.found and set(broken) != set(scene.found)):
        print(f"cannot tell: {', '.join(missed) or 'another claim'} {'met nothing' if missed else 'is broken'}")
        return UNDECIDED
    return AS_FOUND if broken else AS_EXPECTED
