"""Rules of the repository, as tests: what may lie where, and what must agree."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from importlib.metadata import distribution, distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from imports.models import (
    TRANSITIONS,
    AccessLevel,
    NotFollowed,
    Origin,
    RunStatus,
)

ROOT = Path(__file__).resolve().parent.parent
LONGEST_FILE = 600
LONGEST_TEMPLATE_LINE = 120
# A table is read by its row, whatever its length.
TABLES = {Path("imports/wording/causes.py")}
TOP_LEVEL = {
    *("manage.py", "pyproject.toml", "mcdash", "imports", "templates", "static"),
    *("tests", "docs", ".ci", "Makefile", "README.md", "CHANGELOG.md"),
    *("CONTRIBUTING.md", "SECURITY.md", ".env.example", ".gitignore"),
    *(".pre-commit-config.yaml", "requirements.txt", "requirements-dev.txt"),
    *("LICENSE", ".gitattributes", ".editorconfig"),
}
# spelled in two parts, so that this file does not break its own rule
REGISTRIES = (
    "py" + "pi.",
    "python" + "hosted",
    "registry.npm" + "js",
    "npm" + "js.org",
)
HOME_PATHS = re.compile(r"(?<![\w.<])/(?:home|root|Users)/\w")
PIN = r"^(?=[\w.-]+(?:\[[^]]*\])?==)"
IN_BACKTICKS = re.compile(r"`([\w./*-]+)`")
# Not to other sites.
LINK = re.compile(r"\]\((?!https?:)([\w./-]*)(?:#([\w-]+))?\)")
FILE_NAME = re.compile(r"\w[\w./-]*\.(py|html|js|css|md|toml|wsdl|yml)")
SETTING = re.compile(r"^#?([A-Z][A-Z_]+)=", re.MULTILINE)


@cache
def tracked_files() -> tuple[Path, ...]:
    """What git knows or would take, as it lies on disk."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: what is tracked cannot be told")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return tuple(path for path in paths if path.is_file())


def tracked_texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" not in content:
            found.append((path.relative_to(ROOT), content.decode()))
    return found


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def package_name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def declared(*, dev: bool) -> set[str]:
    tables = project()
    requirements = (
        tables["dependency-groups"]["dev"]  # type: ignore[index]  # tables
        if dev
        else tables["project"]["dependencies"]  # type: ignore[index]  # tables
    )
    return {package_name(requirement) for requirement in requirements}


def pinned(lock: str) -> dict[str, str]:
    return {package_name(name): version for name, _, version in pins(lock)}


def pins(lock: str) -> list[tuple[str, str, str]]:
    """Each pinned package: its name, its extras as one text, its version."""
    text = (ROOT / lock).read_text()
    return re.findall(r"^([\w.-]+)(?:\[([^]]*)\])?==(\S+)", text, re.MULTILINE)


def locked_extras(lock: str) -> dict[str, set[str]]:
    return {
        package_name(name): {extra.strip() for extra in extras.split(",")} - {""}
        for name, extras, _ in pins(lock)
    }


def test_what_a_tool_is_told_to_ignore_has_its_reason_beside_it() -> None:
    bare = re.compile(r"# (?:noqa(?:: [A-Z0-9, ]+)?|type: ignore(?:\[[a-z, -]+\])?)$")
    assert [
        f"{path}:{number}"
        for path, text in tracked_texts()
        if path.suffix == ".py" and "migrations" not in path.parts
        for number, line in enumerate(text.splitlines(), 1)
        if bare.search(line)
    ] == []


def test_no_file_names_a_package_registry() -> None:
    named = [
        f"{path}: {registry}"
        for path, text in tracked_texts()
        for registry in REGISTRIES
        if registry in text.lower()
    ]
    assert not named


def test_no_file_names_a_folder_of_one_machine() -> None:
    neighbourhood = f"{ROOT.parent}/"
    named = [
        str(path)
        for path, text in tracked_texts()
        if HOME_PATHS.search(text) or (len(neighbourhood) > 2 and neighbourhood in text)
    ]
    assert not named


def test_no_product_file_is_longer_than_600_lines() -> None:
    long = {
        str(path): lines
        for path, text in tracked_texts()
        if path.suffix in {".py", ".html", ".css", ".js"}
        and path.parts[0] != "tests"
        and "migrations" not in path.parts
        and path not in TABLES
        and (lines := text.count("\n")) > LONGEST_FILE
    }
    assert not long


def test_no_line_of_a_template_is_longer_than_120_columns() -> None:
    long = [
        f"{path}:{number}"
        for path, text in tracked_texts()
        if path.suffix == ".html"
        for number, line in enumerate(text.splitlines(), start=1)
        if len(line) > LONGEST_TEMPLATE_LINE
    ]
    assert not long


def test_the_top_level_holds_only_what_belongs_there() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    assert found <= TOP_LEVEL


def test_every_dependency_has_its_line_in_the_docs() -> None:
    lines = (ROOT / "docs/dependencies.md").read_text().splitlines()
    told = {package_name(line[2:]) for line in lines if re.match(r"\| [A-Za-z]", line)}
    assert told - {"package"} == declared(dev=False) | declared(dev=True)


@pytest.mark.parametrize(
    ("lock", "dev"), [("requirements.txt", False), ("requirements-dev.txt", True)]
)
def test_every_dependency_is_pinned(lock: str, dev: bool) -> None:
    wanted = declared(dev=False) | (declared(dev=True) if dev else set())
    assert wanted <= pinned(lock).keys()


def test_tests_run_on_the_versions_that_run_in_earnest() -> None:
    assert pinned("requirements.txt").items() <= pinned("requirements-dev.txt").items()


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_every_pin_has_a_hash(lock: str) -> None:
    entries = re.split(PIN, (ROOT / lock).read_text(), flags=re.MULTILINE)
    assert len(entries) > 1
    assert all("--hash=sha256:" in entry for entry in entries[1:])


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_every_extra_that_a_locked_package_asks_for_is_locked(lock: str) -> None:
    """pip 23 takes the newest release, not the pinned one, of a package whose pin
    lacks an extra that another package asks for; --require-hashes then stops.
    """
    extras = locked_extras(lock)
    lacking = [
        f"{name} asks for {requirement}"
        for name in extras
        for requirement in requirements_of(name, extras[name])
        if not requirement.extras <= extras[package_name(requirement.name)]
    ]
    assert not lacking


def requirements_of(name: str, extras: set[str]) -> list[Requirement]:
    """What the installed package asks for on this machine with these extras."""
    if name not in installed():
        return []  # locked for another system or Python
    found = [Requirement(text) for text in distribution(name).requires or []]
    return [
        requirement
        for requirement in found
        if not (marker := requirement.marker)
        or any(marker.evaluate({"extra": extra}) for extra in {"", *extras})
    ]


@cache
def installed() -> frozenset[str]:
    return frozenset(package_name(found.name) for found in distributions())


def test_the_example_names_every_setting_and_no_other() -> None:
    example = SETTING.findall((ROOT / ".env.example").read_text())
    assert len(example) == len(set(example))
    assert set(example) == settings_read()


def settings_read() -> set[str]:
    """The environment variables that settings.py reads: its texts that look so."""
    tree = ast.parse((ROOT / "mcdash/settings.py").read_text())
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args
    ]
    first = [call.args[0] for call in calls]
    texts = [node.value for node in first if isinstance(node, ast.Constant)]
    return {
        text
        for text in texts
        if isinstance(text, str) and re.fullmatch(r"MCDASH_[A-Z_]+|DATABASE_URL", text)
    }


def test_the_readme_tells_of_every_command() -> None:
    folder = ROOT / "imports/management/commands"
    commands = {path.stem for path in folder.glob("[a-z]*.py")}
    told = re.findall(r"^\| `(\w+)[^|]*` \|", (ROOT / "README.md").read_text(), re.M)
    assert commands
    assert commands <= set(told)


@pytest.mark.parametrize(
    "words",
    [RunStatus, Origin, NotFollowed, AccessLevel],
    ids=lambda enum: enum.__name__,
)
def test_the_glossary_has_every_word_that_the_code_chooses_from(words: Any) -> None:
    glossary = (ROOT / "docs/glossary.md").read_text()
    assert not [word for word in words.values if f"`{word}`" not in glossary]


def test_the_glossary_calls_every_status_as_pages_do() -> None:
    glossary = (ROOT / "docs/glossary.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", glossary, re.MULTILINE))
    assert rows == {status.value: str(status.label) for status in RunStatus}


def test_docs_and_docstrings_name_only_files_that_exist() -> None:
    files = {str(path.relative_to(ROOT)) for path in tracked_files()}
    missing = [
        f"{path}: {named}"
        for path, text in prose()
        for named in IN_BACKTICKS.findall(text)
        if is_path(named) and not is_there(named, files)
    ]
    assert not missing


def test_links_between_the_docs_lead_to_a_file_and_a_heading() -> None:
    broken = []
    for path, text in tracked_texts():
        links = LINK.findall(text) if path.suffix == ".md" else []
        for target, heading in links:
            file = ROOT / path.parent / target if target else ROOT / path
            if not file.exists():
                broken.append(f"{path}: {target}")
            elif heading and heading not in anchors(file.read_text()):
                broken.append(f"{path}: {target}#{heading}")
    assert not broken


def anchors(markdown: str) -> set[str]:
    """What its headings are called in addresses."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


def test_every_decision_is_listed_by_its_title() -> None:
    folder = ROOT / "docs/adr"
    listed = re.findall(
        r"^- \[(.+)\]\((.+)\)$", (folder / "README.md").read_text(), re.M
    )
    titles = {
        (path.read_text().partition("\n")[0].removeprefix("# "), path.name)
        for path in folder.glob("0*.md")
    }
    assert titles
    assert set(listed) == titles


def prose() -> list[tuple[Path, str]]:
    """Docs and docstrings; the CHANGELOG may speak of what was."""
    found = []
    for path, text in tracked_texts():
        if path.suffix == ".md" and path.name != "CHANGELOG.md":
            found.append((path, text))
        elif path.suffix == ".py":
            found += [(path, docstring) for docstring in docstrings(text)]
    return found


def docstrings(source: str) -> list[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return [text for node in nodes if (text := ast.get_docstring(node))]


def is_path(named: str) -> bool:
    """Whether a text in backticks means a file or a folder of this repository."""
    first, slash, _ = named.partition("/")
    return bool(FILE_NAME.fullmatch(named) or (slash and first in TOP_LEVEL))


def is_there(named: str, files: set[str]) -> bool:
    """Paths may be written from the top, or from the room that the text is about."""
    start = named.rstrip("*")
    return any(
        file.startswith(start) or file == named or file.endswith(f"/{named}")
        for file in files
    )


def test_the_diagram_in_the_docs_shows_the_table_of_transitions() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    drawn = set(re.findall(r"^    (\w+) --> (\w+)$", text, re.MULTILINE))
    assert drawn == {
        (str(before.value), str(after.value))
        for before, afters in TRANSITIONS.items()
        for after in afters
    }
