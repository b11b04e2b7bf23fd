"""Checking a data directory: every partition in it, and whether its checkpoints and metadata fit what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.dump.kinds import Kind, is_replacement, kind_of, kind_of_file
from logd.dump.verify_context import DirectoryState
from logd.dump.verify_partition import PartitionCheck, PartitionEnds
from logd.dump.verify_snapshot import verify_metadata_snapshot
from logd.metadata.files import METADATA_PARTITION
from protocol.types import ZERO_UUID, TopicPartition, uuid_to_str
from storage.checkpoint import CLEANER_OFFSETS, HIGH_WATERMARKS, LOG_START_OFFSETS, RECOVERY_POINTS
from storage.directories.clean_shutdown import read_clean_shutdown
from storage.directories.directory_names import parse_partition_directory
from storage.directories.meta_properties import META_PROPERTIES
from storage.errors import MalformedFile, StorageFailure

if TYPE_CHECKING:
    from logd.dump.data_directory_facts import DataDirectoryFacts
    from logd.dump.finding import Report
    from logd.dump.verify_context import VerifyOptions
    from storage.fs import FileSystem

_ADVICE_OF = {
    RECOVERY_POINTS: "records that were on disk are missing: restore the partition from a replica or a copy",
    HIGH_WATERMARKS: "records that were acknowledged are missing: restore the partition from a replica or a copy",
    LOG_START_OFFSETS: "restore the partition from a replica or a copy",
    CLEANER_OFFSETS: "remove the file while the broker is stopped: the cleaner begins anew",
}
_CHECKPOINT_ADVICE = (
    "restore it from a copy, or remove it while the broker is stopped: every log is then checked whole"
)
_IDENTITY_ADVICE = "restore it from a copy: a broker refuses the directory without it"


class DirectoryCheck:
    """One pass over one data directory."""

    def __init__(
        self,
        fs: FileSystem,
        facts: DataDirectoryFacts,
        report: Report,
        options: VerifyOptions,
    ) -> None:
        self._fs = fs
        self._facts = facts
        self._report = report
        self._options = options
        self._ends: dict[TopicPartition, PartitionEnds] = {}
        self._is_running = facts.state is DirectoryState.RUNNING

    def run(self) -> None:
        """Raises: StorageFailure."""
        self._check_own_files()
        for name in self._fs.listdir(self._facts.path):
            path = f"{self._facts.path}/{name}"
            if self._fs.is_dir(path):
                self._check_directory(path, name)
            else:
                self._check_file(path, name)
        self._check_checkpoints()
        self._check_against_metadata()

    def _check_own_files(self) -> None:
        for error in self._facts.malformed:
            advice = _IDENTITY_ADVICE if error.path.endswith(META_PROPERTIES) else _CHECKPOINT_ADVICE
            self._report.problem(error.path, error.reason, advice)
        try:
            read_clean_shutdown(self._fs, self._facts.path)
        except MalformedFile as error:
            self._report.problem(
                error.path, error.reason, "remove it while the broker is stopped: it checks its logs then"
            )
        properties = self._facts.properties
        if properties is None:
            return
        path = f"{self._facts.path}/{META_PROPERTIES}"
        known = self._facts.cluster.directory_ids
        if self._facts.cluster.known and properties.node_id not in known:
            text = f"node.id is {properties.node_id}, the metadata knows {', '.join(map(str, sorted(known)))}"
            self._report.problem(path, text, _IDENTITY_ADVICE)
        registered = [uuid_to_str(each) for each in known.get(properties.node_id, ())]
        if registered and properties.directory_id not in registered:
            text = f"directory.id is {properties.directory_id or 'missing'}, the metadata knows {', '.join(registered)}"
            self._report.problem(path, text, _IDENTITY_ADVICE)

    def _check_file(self, path: str, name: str) -> None:
        match kind_of_file(name):
            case Kind.METADATA_SNAPSHOT:
                verify_metadata_snapshot(self._fs, path, self._report)
            case Kind.LEFTOVER if self._is_running and is_replacement(name):
                pass  # the broker is writing it
            case Kind.LEFTOVER:
                self._report.note(
                    path, "is left over from something interrupted", "a broker replaces or removes it"
                )
            case Kind.UNKNOWN:
                self._report.note(path, "is no file of a broker's")
            case _:
                self._report.files += 1

    def _check_directory(self, path: str, name: str) -> None:
        match kind_of(self._fs, path):
            case Kind.PARTITION:
                partition = parse_partition_directory(name)
                self._check_partition(path, partition)
            case Kind.SET_ASIDE if name.endswith("-delete"):
                self._report.note(
                    path, "was deleted", "a running broker removes it soon, a stopped one at its next start"
                )
            case Kind.SET_ASIDE:
                advice = "look at it with `logd dump`, remove it when nothing in it is needed"
                self._report.note(path, "was set aside: the metadata did not know it", advice)
            case _:
                self._report.note(path, "is not the directory of a partition")

    def _check_partition(self, path: str, partition: TopicPartition | None) -> None:
        context = self._facts.context_of(partition, self._options)
        try:
            ends = PartitionCheck(self._fs, path, context, self._report).run()
        except StorageFailure as failure:
            if not self._is_running or self._fs.is_dir(path):
                raise
            self._report.note(failure.path, "was deleted while this looked at it")
            return
        if partition is not None and ends.is_sure:
            self._ends[partition] = ends

    def _check_checkpoints(self) -> None:
        for name, offsets in self._facts.checkpoints.items():
            path = f"{self._facts.path}/{name}"
            for partition, offset in offsets.items():
                ends = self._ends.get(partition)
                if ends is None:
                    if not self._is_running:
                        self._report.problem(path, f"names {partition}, which is not here", _ADVICE_OF[name])
                elif offset > ends.log_end_offset:
                    text = f"says {offset} of {partition}, whose log ends at {ends.log_end_offset}"
                    self._report.problem(path, text, _ADVICE_OF[name], offset=offset)
                elif self._should_be_the_end(name, partition) and offset != ends.log_end_offset:
                    text = f"says {offset} of {partition}, which was stopped cleanly at {ends.log_end_offset}"
                    self._report.problem(path, text, _CHECKPOINT_ADVICE, offset=offset)

        points = self._facts.checkpoints[RECOVERY_POINTS]
        for partition, ends in self._ends.items():
            missing = partition not in points and ends.log_end_offset > ends.first_offset
            if missing and self._should_be_the_end(RECOVERY_POINTS, partition):
                path = f"{self._facts.path}/{RECOVERY_POINTS}"
                self._report.problem(
                    path, f"does not name {partition}, which was stopped cleanly", _CHECKPOINT_ADVICE
                )

    def _should_be_the_end(self, name: str, partition: TopicPartition) -> bool:
        clean = self._facts.state is DirectoryState.CLEAN
        return clean and name == RECOVERY_POINTS and partition != METADATA_PARTITION

    def _check_against_metadata(self) -> None:
        facts, cluster = self._facts, self._facts.cluster
        if not cluster.known or self._is_running or facts.properties is None:
            return
        node_id = facts.properties.node_id
        for partition, record in cluster.partitions.items():
            if partition in self._ends or node_id not in record.replicas:
                continue
            place = record.replicas.index(node_id)
            directory = record.directories[place] if place < len(record.directories) else ZERO_UUID
            if uuid_to_str(directory) == facts.properties.directory_id:
                text = f"the metadata has {partition} here, and it is not"
                self._report.problem(facts.path, text, "restore its directory from a replica or a copy")
        for partition in self._ends:
            if partition != METADATA_PARTITION and partition not in cluster.partitions:
                path = f"{facts.path}/{partition}"
                self._report.note(
                    path, "is of no topic that the metadata knows", "the next start of a broker sets it aside"
                )
