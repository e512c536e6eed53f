"""A program `uv` that makes environments with a package `torch` of one line, and can be stopped in the middle.

It reads a folder, FAKE_UV: `releases` (what the index has), `stop` (the step at which it blocks: venv, lock, fetch,
half, linked, or import, when its torch is imported), `reached` (a named pipe, which it opens then), `never` (one that
it reads there), `fail` (a step, and what it prints), `broken` (its torch cannot be imported). It adds a line to `log`
for each command. As uv it fills its cache, and shares the files by hard links.
"""

import os
import re
import sys
from pathlib import Path

CONTROL = Path(os.environ["FAKE_UV"])
CACHE = Path(os.environ["UV_CACHE_DIR"])


WAITING = """import os, pathlib
control = pathlib.Path(os.environ["FAKE_UV"])
if (control / "stop").exists() and (control / "stop").read_text() == "import":
    (control / "reached").write_text("import")
    (control / "never").read_text()
"""


def text(name):
    path = CONTROL / name
    return path.read_text().strip() if path.exists() else ""


def at(step):
    """Block here, or fail here, if that is asked for."""
    failing, _, said = text("fail").partition(" ")
    if failing == step:
        sys.exit(f"  warning: something else\nerror: {said}")
    if text("stop") == step:
        with open(CONTROL / "reached", "w") as pipe:
            pipe.write(f"{step}\n")
        with open(CONTROL / "never") as pipe:
            pipe.read()


def numbers(version):
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))


def fits(version, requirement):
    for operator, wanted in re.findall(r"(==|>=|<)([\w.+*]+)", requirement):
        if operator == "==" and wanted.endswith(".*"):
            good = version.startswith(wanted[:-1])
        elif operator == "==":
            good = version.partition("+")[0] == wanted.partition("+")[0]
        else:
            good = (numbers(version) < numbers(wanted)) == (operator == "<")
        if not good:
            return False
    return True


def newest(requirement):
    found = [one for one in text("releases").split() if fits(one, requirement)]
    if not found:
        print(f"error: No solution found when resolving\n  cause: no version of {requirement}", file=sys.stderr)
        sys.exit(1)
    return max(found, key=numbers)


def compile_requirements(words):
    requirements = sys.stdin.read().split()
    at("resolve")
    version = newest(requirements[0])
    if "--output-file" not in words:
        print(f"torch=={version}")
        return
    lock = Path(words[words.index("--output-file") + 1])
    packages = [("torch", version, 2_500_000_000), ("shared", "1", 1000)]
    rows = [f'[[packages]]\nname = "{n}"\nversion = "{v}"\nwheels = [{{ size = {s} }}]\n' for n, v, s in packages]
    lock.write_text("\n".join(rows))
    at("lock")


def make_environment(folder):
    (folder / "bin").mkdir(parents=True)
    base = os.path.realpath(sys.executable)
    (folder / "bin" / "python").symlink_to(base)
    (folder / "pyvenv.cfg").write_text(f"home = {os.path.dirname(base)}\n")
    at("venv")


def install(words):
    folder = Path(words[words.index("--python") + 1]).parents[1]
    version = re.search(r"^torch==(.+)$", sys.stdin.read(), re.MULTILINE).group(1)
    site = folder / "lib" / "python{}.{}".format(*sys.version_info[:2]) / "site-packages"
    at("fetch")
    broken = "raise ImportError('libcudart.so: cannot open')\n" if text("broken") else ""
    contents = {"torch": f"{broken}{WAITING}__version__ = {version!r}\n", "shared": "# the same for all\n" * 1000}
    for name, source in contents.items():
        of = version if name == "torch" else "1"
        kept = CACHE / "archive-v0" / f"{name}-{of}" / name
        kept.mkdir(parents=True, exist_ok=True)
        (site / name).mkdir(parents=True)
        for file, content in (("__init__.py", source), ("version.py", f"__version__ = {version!r}\n")):
            if not (kept / file).exists():
                (kept / file).write_text(content)
            os.link(kept / file, site / name / file)
        at("half")
    at("linked")


def main(words):
    with open(CONTROL / "log", "a") as log:
        log.write(" ".join(words) + "\n")
    if words[0] == "venv":
        make_environment(Path(words[-1]))
    elif words[:2] == ["pip", "compile"]:
        compile_requirements(words)
    else:
        install(words)


main(sys.argv[1:])
