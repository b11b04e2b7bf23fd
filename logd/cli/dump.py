"""`logd dump`: its options, and printing what logd/dump finds. Nothing is written but standard output.

Exit code 1 when something is damaged: with --verify anything wrong, else what could not be read on.
"""

from __future__ import annotations

import argparse
import re

from logd.cli import output
from logd.cli.errors import CommandError, UsageError
from logd.cli.parser import add_command, add_json_option

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is not imported: see logd.cli
    from collections.abc import Iterator
    from typing import Any

    from logd.dump.finding import Finding, Report
    from logd.dump.segment_rows import BatchSelection, Row
    from storage.fs import FileSystem

_EXAMPLES = """\
  logd dump /srv/logd                              every partition in a data directory, in a line each
  logd dump /srv/logd/orders-0                     its segments, leader epochs, producers
  logd dump /srv/logd/orders-0/00000000000000000000.log
  logd dump --records --offsets 100-110 /srv/logd/orders-0/00000000000000000000.log
  logd dump --records /srv/logd/__cluster_metadata-0/00000000000000000000.log
  logd dump --verify /srv/logd                     is every byte what was written? exit code 1 if not
  logd dump --verify -J /srv/logd | jq 'select(.kind == "problem")'
"""


def add_to(commands: Any) -> None:
    parser = add_command(
        commands,
        "dump",
        help="look into a data directory, logd's or Kafka's; --verify checks it",
        description="Show what files of a data directory hold, logd's or Kafka's, or check them. Only reads; a broker "
        "may be running. A file: its content. A partition's directory, a data directory: a summary.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a file or a directory")
    parser.add_argument("--records", action="store_true", help="show the records of each batch, too")
    parser.add_argument(
        "--offsets",
        metavar="A-B",
        type=_offsets,
        default=(0, (1 << 63) - 1),
        help="only these, both inclusive; A-, A",
    )
    parser.add_argument(
        "--raw", action="store_true", help="records of internal topics as bytes instead of what they say"
    )
    parser.add_argument("--verify", action="store_true", help="check everything and say what is wrong")
    parser.add_argument(
        "--shallow",
        action="store_true",
        help="with --verify: do not look at the records inside sound batches",
    )
    parser.add_argument(
        "--compacted", action="store_true", help="with --verify: gaps in the offsets are in order"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Raises CommandError for paths that cannot be read."""
    from logd.dump.segment_rows import BatchSelection  # noqa: PLC0415 - for the work, not for --help
    from storage.fs.real import RealFileSystem  # noqa: PLC0415

    if not options.verify and (options.shallow or options.compacted):
        raise UsageError("--shallow and --compacted say how to check; they need --verify")
    fs = RealFileSystem()
    paths = [_existing(fs, path) for path in options.paths]
    if options.verify:
        return _verify_all(fs, paths, options)
    first, last = options.offsets
    selection = BatchSelection(first, last, options.records, not options.raw)
    damaged = False
    for path in paths:
        damaged |= _show(fs, path, selection, options)
    return int(damaged)


def _show(fs: FileSystem, path: str, selection: BatchSelection, options: argparse.Namespace) -> bool:
    """Print the rows of one path; whether some of it could not be read."""
    from logd.dump.text import line_of  # noqa: PLC0415

    damaged = False
    if not options.json and len(options.paths) > 1:
        output.print_line(f"{path}:")
    for row in _rows(fs, path, selection):
        damaged |= row["kind"] == "damage"
        if options.json:
            output.print_json(row)
        else:
            output.print_line(line_of(row))
    return damaged


def _rows(fs: FileSystem, path: str, selection: BatchSelection) -> Iterator[Row]:
    from logd.dump.directory_rows import data_directory_rows, partition_rows  # noqa: PLC0415
    from logd.dump.file_rows import file_rows  # noqa: PLC0415
    from logd.dump.kinds import Kind, kind_of  # noqa: PLC0415
    from storage.errors import CorruptLog, MalformedFile, StorageFailure  # noqa: PLC0415
    from storage.producer_snapshot import CorruptSnapshot  # noqa: PLC0415

    kind = kind_of(fs, path)
    try:
        if kind is Kind.DATA_DIRECTORY:
            yield from data_directory_rows(fs, path)
        elif fs.is_dir(path):
            yield from partition_rows(fs, path)
        else:
            yield from file_rows(fs, path, kind, selection)
    except CorruptLog as error:
        yield {"kind": "damage", "file": path, "position": error.position, "problem": error.reason}
    except (MalformedFile, CorruptSnapshot) as error:
        problem = error.reason if isinstance(error, MalformedFile) else str(error)
        yield {"kind": "damage", "file": path, "position": -1, "problem": problem}
    except StorageFailure as failure:
        raise CommandError(str(failure)) from None


def _verify_all(fs: FileSystem, paths: list[str], options: argparse.Namespace) -> int:
    from logd.dump.finding import Report  # noqa: PLC0415
    from logd.dump.verify import size_to_verify, verify  # noqa: PLC0415
    from logd.dump.verify_context import VerifyOptions  # noqa: PLC0415
    from storage.errors import StorageFailure  # noqa: PLC0415

    progress = output.Progress()

    def show_progress() -> None:
        if progress.is_due:
            progress.show(f"verified {output.format_size(report.bytes_read)} of {output.format_size(total)}")

    def show_finding(finding: Finding) -> None:
        progress.clear()
        _print_finding(finding, as_json=options.json)

    report = Report(show_finding, show_progress)
    how = VerifyOptions(compacted=options.compacted, walk_records=not options.shallow)
    try:
        total = sum(size_to_verify(fs, path) for path in paths)
        states = [verify(fs, path, report, how) for path in paths]
    except StorageFailure as failure:
        raise CommandError(str(failure)) from None
    finally:
        progress.clear()
    _print_summary(report, [state.value for state in states], as_json=options.json)
    return int(report.problems > 0)


def _print_finding(finding: Finding, *, as_json: bool) -> None:
    from logd.dump.text import finding_row, line_of_finding  # noqa: PLC0415

    if as_json:
        output.print_json(finding_row(finding))
    else:
        output.print_line(line_of_finding(finding))


def _print_summary(report: Report, states: list[str], *, as_json: bool) -> None:
    if as_json:
        output.print_json(
            {
                "kind": "summary",
                "states": states,
                "partitions": report.partitions,
                "files": report.files,
                "batches": report.batches,
                "records": report.records,
                "bytes": report.bytes_read,
                "problems": report.problems,
                "notes": report.notes,
            }
        )
        return
    counted = output.format_count
    verdict = counted(report.problems, "problem") if report.problems else "nothing wrong"
    notes = f", {counted(report.notes, 'note')}" if report.notes else ""
    partitions, files = counted(report.partitions, "partition"), counted(report.files, "file")
    batches, records = counted(report.batches, "batch"), counted(report.records, "record")
    output.print_line(
        f"{verdict}{notes}: {partitions}, {files}, {batches}, {records}, {output.format_size(report.bytes_read)}; "
        f"{', '.join(sorted(set(states)))}"
    )


def _existing(fs: FileSystem, path: str) -> str:
    if not fs.exists(path):
        raise CommandError(f"{path}: there is no such file or directory")
    return path.rstrip("/") or "/"


def _offsets(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,19})(-([0-9]{1,19})?)?", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not A-B, A- or A, whole numbers from 0 up")
    first = int(match[1])
    last = first if match[2] is None else int(match[3] or (1 << 63) - 1)
    if last < first:
        raise argparse.ArgumentTypeError(f"{text!r} ends before it begins")
    return first, last
