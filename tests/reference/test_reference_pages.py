"""Schema, explanations, the reference page and the template come from the models, and what is committed is current."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from harness.checkers.base import CHECKERS
from harness.loader import catalogue, discover, load_text
from harness.loader.keys.members import fault_members
from harness.reference import addresses, explain, schema, template
from harness.reference.json_schema import COMMITTED, PUBLISHED
from harness.reference.pages import every_page, member_pages
from harness.reference.prose import VERDICT
from harness.reference.reference import COMMAND, DOCS, FORMAT, pages
from harness.values.errors import UsageError

ROOT = Path(__file__).parents[2]


def test_the_schema_that_ships_is_current() -> None:
    """`python -m harness.reference.json_schema` was run after the last change to a model or a member."""
    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert committed == schema(only_ours=True), "run: python -m harness.reference.json_schema"


def test_the_schema_of_this_version_is_in_the_docs() -> None:
    """Under its own address, so that the line that `new` writes leads to it, also when later versions have others."""
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert published == schema(only_ours=True), "run: python -m harness.reference.json_schema"
    assert published["$id"] == f"{addresses.DOCS}/schema/{PUBLISHED.name}"
    assert template("a-claim").startswith(f"# yaml-language-server: $schema={published['$id']}\n")
    versions = [json.loads(path.read_text(encoding="utf-8"))["$id"] for path in PUBLISHED.parent.iterdir()]
    assert versions == [f"{addresses.DOCS}/schema/{path.name}" for path in PUBLISHED.parent.iterdir()]


@pytest.mark.parametrize("name", sorted(pages()))
def test_the_reference_pages_are_current(name: str) -> None:
    """They were written after the last change to a model or a member."""
    page = (DOCS / name).read_text(encoding="utf-8")
    assert page == pages()[name], f"run: {COMMAND}"


def test_no_reference_page_is_left_over() -> None:
    """A page of a family that is gone would be read as if it were current."""
    written = {name for name in pages() if name.startswith("reference/")}
    generated = {
        path for path in (DOCS / "reference").glob("*.md") if "This page is generated from" in path.read_text()
    }
    assert {path.relative_to(DOCS).as_posix() for path in generated} == written


def test_the_pages_of_the_families_have_every_member() -> None:
    """Each with its heading, on the page of its family; and each part of the format is in the table of contents."""
    texts = pages()
    for family, members in member_pages().items():
        text = texts[f"reference/{family}s.md"]
        assert [page.name for page in members if f"\n## `{page.name}`\n" not in text] == []
    headings = re.findall(r"^#+ (.*)$", texts[FORMAT].partition("\n## Keys\n")[2], re.MULTILINE)
    assert len(headings) > 20
    assert [heading for heading in headings if f"[{heading}](#" not in texts[FORMAT]] == []


def test_every_standing_invariant_is_named_where_the_verdict_is_explained() -> None:
    """A new one judges every run, so a reader must find it there."""
    standing = {kind for kind in CHECKERS if CHECKERS[kind].standing}
    assert {kind for kind in standing if f"`{kind}`" in VERDICT.text.partition("Standing invariants")[2]} == standing


def test_every_member_is_in_the_schema() -> None:
    """Each step, fault and check has a definition, chosen by `do`, `inject` or `check`."""
    definitions = schema()["$defs"]
    for name, selector, family in (("Step", "do", "step"), ("Fault", "inject", "fault"), ("Check", "check", "check")):
        kinds = sorted(one.kind for one in catalogue()[family])
        assert definitions[name]["properties"][selector]["enum"] == kinds
        for choice in definitions[name]["allOf"]:
            target = definitions[choice["then"]["$ref"].rsplit("/", 1)[1]]
            assert target["properties"][selector]["const"] == choice["if"]["properties"][selector]["const"]


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    """No `$ref` is dangling, and no definition is unused."""
    whole = schema()
    used = {part.split('"')[0] for part in json.dumps(whole).split('"#/$defs/')[1:]}
    assert used == set(whole["$defs"])


def test_the_schema_knows_every_key_of_every_scenario() -> None:
    """What the loader reads at the top, in the world, in steps and in faults, an editor does not underline."""
    whole = schema()
    definitions = whole["$defs"]
    for file in sorted((ROOT / "scenarios").rglob("*.rdzv.yaml")):
        tree = YAML(typ="safe", pure=True).load(file)
        assert set(tree) <= set(whole["properties"])
        assert set(tree["world"]) <= set(definitions["World"]["properties"])
        for key, selector, name in (("workload", "do", "Step"), ("faults", "inject", "Fault")):
            for entry in tree.get(key, ()):
                chosen = {
                    one["if"]["properties"][selector]["const"]: one["then"]["$ref"].rsplit("/", 1)[1]
                    for one in definitions[name]["allOf"]
                }[entry[selector]]
                assert set(entry) <= set(definitions[chosen]["properties"]), file


@pytest.mark.parametrize("kind", [page.name for pages in member_pages().values() for page in pages])
def test_everything_that_is_listed_is_explained(kind: str) -> None:
    """Every member has a summary, each attribute its meaning, and an example."""
    text = explain(kind)
    for page in every_page():
        if page.name == kind and page.summary:
            assert page.heading in text
            assert all(row.key in text and row.meaning for row in page.rows)


@pytest.mark.parametrize("family", ["step", "fault"])
def test_the_examples_of_members_can_be_read(family: str) -> None:
    """What `explain` shows as an example is a valid line of a scenario."""
    for declaration in catalogue()[family]:
        is_direct = family == "fault" and fault_members()[declaration.kind].directly
        text = _around(family, declaration.example, ", route: direct" if is_direct else "")
        load_text(text, Path(f"{declaration.kind}.rdzv.yaml"))


def _around(family: str, example: str, world: str) -> str:
    """A scenario that has the steps and handlers that examples speak of, and the example."""
    names = ("rendezvous", "join", "shut")
    steps = [f"  - {{id: {name}, do: rendezvous}}" for name in names if f"id: {name}" not in example]
    line = f"  - {example}"
    faults = [line] if family == "fault" else []
    if family == "step":
        steps = [line] if "do: rendezvous" in example else [*steps, line]
    return "\n".join(
        [
            "schema: rdzv-scenario/v1",
            "title: An example",
            f"world: {{size: 4{world}}}",
            "workload:",
            *steps,
            *(["faults:", *faults] if faults else []),
            "expect:",
            "  - {step: exit, is: ok}",
            "",
        ]
    )


def test_the_examples_of_checks_can_be_read() -> None:
    """A check's example is a valid claim."""
    for declaration in catalogue()["check"]:
        text = template("a-claim").replace("expect:", f"expect:\n  - {declaration.example}")
        text = text.replace("faults:", "  - {do: rendezvous, handler: second, run_id: b}\nfaults:")
        load_text(text, Path("a-claim.rdzv.yaml"))


@pytest.mark.parametrize(
    "word", ["world", "moment", "after", "matrix", "ranks", "duration", "verdict", "known", "no_hang"]
)
def test_parts_of_the_format_are_explained(word: str) -> None:
    """Not only kinds: what stands in a file has a page under its own word."""
    assert len(explain(word).splitlines()) > 4


def test_what_cannot_be_explained_has_a_nearest_word() -> None:
    """A mistyped kind is answered with the kind that was meant."""
    with pytest.raises(UsageError, match="did you mean 'blackhole'"):
        explain("blackole")


def test_the_template_is_a_scenario() -> None:
    """What `new` writes can be read as it stands, whatever the name."""
    for name in ("a-slow-link-delays-nobody-else", "true", "123", "no.rdzv.yaml"):
        read = load_text(template(name), Path("x.rdzv.yaml"))
        assert [fault.kind for fault in read[0].faults] == ["latency"]
    assert "title: A slow link delays nobody else\n" in template("a-slow-link-delays-nobody-else")


def test_the_template_for_a_job_is_a_scenario_of_a_job() -> None:
    """It has a program in place of steps, and every line that is commented out can be read in its place too."""
    (cell,) = load_text(template("my-job-survives", job=True), Path("x.rdzv.yaml"))
    assert cell.job is not None
    assert [fault.kind for fault in cell.faults] == ["kill"]
    uncommented = re.sub("^  # - ", "  - ", template("my-job-survives", job=True), flags=re.MULTILINE)
    torchrun = re.search(r"^#   (argv: \[[^]]*distributed.run[^]]*\])", uncommented, re.MULTILINE)
    assert torchrun is not None
    uncommented = re.sub(r"argv: \[sh.*", " ".join(torchrun[1].replace("#", "").split()), uncommented)
    (cell,) = load_text(uncommented, Path("x.rdzv.yaml"))
    assert [fault.kind for fault in cell.faults] == ["kill", "latency", "down"]
    assert cell.job is not None
    assert (cell.job.argv[0], cell.job.argv[-1]) == ("{python}", "train.py")


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b", "-x"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    """`new` writes one file in one place."""
    with pytest.raises(UsageError, match="write the claim in hyphens"):
        template(name)


def test_scenarios_are_found_in_files_and_folders(tmp_path: Path) -> None:
    """Files as named, folders sorted, hidden folders passed over, each file once."""
    for name in ("b/two.rdzv.yaml", "a/one.rdzv.yaml", ".rdzv/runs/old.rdzv.yaml", "a/other.yaml"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", encoding="utf-8")
    two = tmp_path / "b" / "two.rdzv.yaml"
    assert discover([two, tmp_path]) == [two, tmp_path / "a" / "one.rdzv.yaml"]


def test_paths_that_lead_to_no_scenario_are_refused(tmp_path: Path) -> None:
    """A path that does not exist, a file of another name, a folder with none in it."""
    other = tmp_path / "other.yaml"
    other.write_text("", encoding="utf-8")
    for path, reason in (
        (tmp_path / "absent", "does not exist"),
        (other, "is not a scenario"),
        (tmp_path, "no scenario in"),
    ):
        with pytest.raises(UsageError, match=reason):
            discover([path])


def test_importing_the_loader_costs_nothing_until_something_is_loaded() -> None:
    """Neither pydantic nor ruamel.yaml comes with `import harness.loader`, and torch not even with a load."""
    code = """
import sys
import harness.loader, harness.reference
assert not {"pydantic", "ruamel.yaml", "torch"} & set(sys.modules)
harness.loader.load_text(harness.reference.template("a"), __import__("pathlib").Path("a.rdzv.yaml"))
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
