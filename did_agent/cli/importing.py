"""`did-agent agent import FILE`: agents from JSON Lines or CSV, in batches, with a bar; begun again it goes on."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import click

from did_agent.cli.deployment import Deployment
from did_agent.cli.output import REFUSED, emit, json_option, say
from did_agent.client.registry import MAX_ROWS, RegistryClient
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError, InvalidParameter

MAX_BYTES: Final = 900_000  # of one batch; the issuer takes 1 MiB
MAX_LINE: Final = 65_536  # characters of one agent
SHOWN: Final = 20  # refused rows that are told one by one
_LISTS: Final = ("redirect_uris", "tags", "groups")
_METADATA: Final = "metadata."  # a column metadata.model says metadata["model"]


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
def import_agents(at: Deployment, file: Path, as_json: bool) -> None:
    """Import agents from FILE: JSON Lines, or CSV with a header where its name ends in .csv.

    Each row has a name and a sponsor; a key of its own is what it is known again by, else its name is.  Rows that are
    there already are left alone: after an interruption, or with rows added, import the same file again.
    """
    counts, refused = asyncio.run(_import(at, file, length=max(1, file.stat().st_size)))
    told = {**{word: counts[word] for word in ("created", "exists", "refused")}, "rows": refused}
    text = f"{counts['created']} created, {counts['exists']} there already, {counts['refused']} refused"
    for row in refused[:SHOWN]:
        say(f"line {row['line']}: {row['key']}: {row['detail']}")
    if len(refused) > SHOWN:
        say(f"and {len(refused) - SHOWN} more; --json names all")
    emit(told, as_json=as_json, text=text)
    if refused:
        sys.exit(REFUSED)


async def _import(at: Deployment, file: Path, *, length: int) -> tuple[Counter[str], list[dict[str, Any]]]:
    client = RegistryClient(at.urls.issuer_url, auth=at.operator_auth(at.urls.issuer_url))
    counts: Counter[str] = Counter()
    refused: list[dict[str, Any]] = []
    with (
        file.open(encoding="utf-8-sig", newline="") as opened,
        click.progressbar(length=length, label="importing", file=sys.stderr) as bar,
    ):
        for batch in _batches(_rows(opened, file)):
            good = [(line, row) for line, row, error in batch if error is None]
            for line, row, error in batch:
                if error is not None:
                    counts["refused"] += 1
                    refused.append({"line": line, "key": str(row.get("name", "-")), "detail": error})
            if good:
                answer = await client.import_agents([row for _, row in good])
                for (line, _), result in zip(good, answer["rows"], strict=True):
                    counts[result["outcome"]] += 1
                    if result["outcome"] == "refused":
                        refused.append({"line": line, "key": result["key"], "detail": result["detail"]})
            bar.update(sum(_size(row) for _, row, _ in batch))
    return counts, sorted(refused, key=lambda row: int(row["line"]))


_Row = tuple[int, dict[str, Any], str | None]  # line, agent, why it cannot be sent


def _rows(opened: IO[str], file: Path) -> Iterator[_Row]:
    return _of_csv(opened) if file.suffix.lower() == ".csv" else _of_lines(opened)


def _of_lines(opened: Iterable[str]) -> Iterator[_Row]:
    for number, line in enumerate(opened, 1):
        if not line.strip():
            continue
        try:
            yield number, parse_object(line, max_bytes=MAX_LINE), None
        except DidAgentError as error:
            yield number, {}, error.detail or error.public


def _of_csv(opened: Iterable[str]) -> Iterator[_Row]:
    reader = csv.DictReader(opened, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidParameter(f"line {reader.line_num}: {error}") from error
        if None in cells or None in cells.values():
            yield reader.line_num, {}, "it has not as many cells as the header"
        else:
            yield reader.line_num, _of_cells(cells), None


def _of_cells(cells: dict[str, str]) -> dict[str, Any]:
    """Return the agent of a row: empty cells are left out, lists are separated by spaces."""
    row: dict[str, Any] = {}
    for name, value in cells.items():
        if not value:
            continue
        if name.startswith(_METADATA):
            row.setdefault("metadata", {})[name.removeprefix(_METADATA)] = value
        else:
            row[name] = value.split() if name in _LISTS else value
    return row


def _batches(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    batch: list[_Row] = []
    size = 0
    for row in rows:
        more = _size(row[1])
        if batch and (len(batch) == MAX_ROWS or size + more > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += more
    if batch:
        yield batch


def _size(row: dict[str, Any]) -> int:
    return len(json.dumps(row)) + 2  # the comma, and the end of the line
