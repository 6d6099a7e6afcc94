"""The runbook says what is true of the code, and has an answer to each alert and exit code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from support.eyes import DEPLOY, alerts

from syncer.cli import main
from syncer.errors import EXIT_PRECEDENCE, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = DEPLOY.parent
TEXT = (DEPLOY / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PROSE = FENCE.sub("", TEXT)


def slug(heading: str) -> str:
    """The anchor that forges make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


HEADINGS = re.findall(r"^#+ (.+)$", PROSE, re.MULTILINE)
ANCHORS = [slug(heading) for heading in HEADINGS]


def section(heading: str) -> str:
    """What stands under a heading, to the next of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", TEXT, re.MULTILINE)
    assert found, heading
    rest = TEXT[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def typed() -> Iterator[str]:
    """Every command line, from blocks and from the running text."""
    for language, block in FENCE.findall(TEXT):
        if language == "console":
            lines = (line.strip() for line in block.splitlines())
            yield from (line.removeprefix("$ ") for line in lines if line.startswith("$ "))
    for quoted in re.findall(r"`([^`]+)`", PROSE):
        if re.search(r"(?:^| )syncer ", quoted):
            yield quoted


def of_syncer(line: str) -> Iterator[list[str]]:
    """What is typed after ``syncer``: the last word of that name, as users and pods have it too."""
    for command in re.split(r"&&|\|", line):
        words = shlex.split(command)
        if "syncer" in words:
            last = len(words) - 1 - words[::-1].index("syncer")
            if words[last + 1 :]:
                yield words[last + 1 :]


COMMANDS = sorted({tuple(words) for line in typed() for words in of_syncer(line)})


def parse(command: click.Command, words: list[str], parent: click.Context | None = None) -> None:
    """Read a command line as the program would, down to the last subcommand; run nothing."""
    context = command.make_context(command.name, words, parent=parent)
    if isinstance(command, click.Group):
        _, chosen, rest = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert chosen is not None
        parse(chosen, rest, context)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_one(words: tuple[str, ...]) -> None:
    parse(main, list(words))


@pytest.mark.parametrize(
    "words", [["sweeep"], ["sweep", "--allow", "many"], ["forget"], ["status", "x"]]
)
def test_a_command_that_is_none_is_noticed(words: list[str]) -> None:
    with pytest.raises(click.UsageError, match=r".+"):
        parse(main, words)


def test_commands_are_found_in_blocks_tables_and_prose() -> None:
    """Else there would be nothing to check."""
    named = {words[0] for words in COMMANDS}

    assert {
        "backfill",
        "check",
        "migrate",
        "quarantine",
        "run",
        "status",
        "sweep",
        "sync",
        "verify",
    } <= named
    assert ("sweep", "--catalog", "public", "--allow-removals", "120") in COMMANDS
    assert "console" in {language for language, _ in FENCE.findall(TEXT)}


@pytest.mark.parametrize("name", alerts())
def test_every_alert_has_a_section_with_its_severity_and_something_to_type(name: str) -> None:
    severity = alerts()[name]["labels"]["severity"]
    text = section(name)

    assert text.lstrip().startswith(f"*{severity}.*")
    assert "```console" in text


def test_no_section_is_about_an_alert_that_does_not_exist() -> None:
    about = re.findall(r"^### (\w+)$", section("Alerts"), re.MULTILINE)

    assert sorted(alerts()) == sorted(about)


def test_the_runbook_url_of_every_alert_resolves() -> None:
    """Where somebody lands who was just woken."""
    urls = [rule["annotations"]["runbook_url"] for rule in alerts().values()]

    assert [] == [
        url
        for url in urls
        if url.partition("#")[0] != "deploy/README.md" or url.partition("#")[2] not in ANCHORS
    ]


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", PROSE)
    missing = [
        link
        for link in links
        if not (link[1:] in ANCHORS if link.startswith("#") else (DEPLOY / link).exists())
    ]

    assert links
    assert missing == []
    assert len(ANCHORS) == len(set(ANCHORS))


def test_files_that_it_names_exist() -> None:
    """As far as their folder does: units, images and manifests come with it."""
    named = {Path(name.rstrip("./")) for name in re.findall(r"deploy/[\w./-]+", TEXT)}
    missing = [
        str(path)
        for path in named
        if (ROOT / Path(*path.parts[:2])).exists() and not list(ROOT.glob(f"{path}*"))
    ]

    assert len(named) > 3
    assert sorted(missing) == []


def test_every_exit_code_says_what_to_do_in_its_row() -> None:
    rows = re.findall(r"^\| `(\d+)` \| (.+) \| (.+) \|$", section("Exit codes"), re.MULTILINE)

    assert [int(code) for code in ExitCode] == [int(code) for code, _, _ in rows]
    assert all(meaning.strip() and remedy.strip() for _, meaning, remedy in rows)


def test_the_order_of_exit_codes_is_that_of_the_program() -> None:
    order = ", ".join(str(int(code)) for code in EXIT_PRECEDENCE)

    assert f"the first of {order}." in section("Exit codes")


def test_keys_that_it_names_are_keys() -> None:
    """A remedy that sets a key that does not exist is none."""
    example = (ROOT / "config.example.toml").read_text(encoding="utf-8")
    keys = set(re.findall(r"^#? ?(\w+) = ", example, re.MULTILINE))
    tables = set(re.findall(r"^#? ?\[+(\w+)\]+", example, re.MULTILINE))
    named = re.findall(
        r"`(?:(\w+)\.)?(\w+_(?:s|minute|size|fraction)|embedded|migrate|listen)`", PROSE
    )
    dotted = re.findall(rf"`({'|'.join(sorted(tables))})\.(\w+)", PROSE)

    assert dotted
    wrong = [key for _, key in [*named, *dotted] if key not in keys]
    assert [] == [key for key in wrong if not key.startswith("pg_")]
