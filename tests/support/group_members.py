"""Members of a group as processes (tests/support/group_clients.py), and what they have told so far."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType

from tests.support.broker import ROOT
from tests.support.group_clients import BY_NAME
from tests.support.patience import wait_until


class Member:
    """One consumer of a group. Its lines are read by a thread; lists only grow."""

    def __init__(self, client: str, bootstrap: str, group: str, topic: str, **options: str | int) -> None:
        kind = BY_NAME[client]
        command = kind.start(bootstrap, group, topic, options)
        self._leave_by_signal = kind.leaves_by_signal
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.assignments: list[frozenset[int]] = []
        """Partitions, each time that it was told."""
        self.got: list[tuple[int, int]] = []
        """Partition and offset of each record."""
        self.committed: dict[int, int] = {}
        """The last acknowledged offset by partition; of confluent-kafka and franz-go only."""
        self.failure: str | None = None
        self.left = False
        self._errors: list[str] = []
        self._listeners = [
            threading.Thread(target=listen, daemon=True) for listen in (self._listen, self._listen_to_errors)
        ]
        for listener in self._listeners:
            listener.start()

    @property
    def assigned(self) -> frozenset[int]:
        return self.assignments[-1] if self.assignments else frozenset()

    @property
    def errors(self) -> str:
        return "".join(self._errors)

    def has_got(self, records: Iterable[tuple[int, int]]) -> bool:
        return set(records) <= set(self.got)

    def leave(self) -> None:
        """Leave the group in an orderly way; a test that goes on without waiting sees it happen."""
        if self._leave_by_signal:
            self._process.send_signal(signal.SIGTERM)
        else:
            self._end_input("\n")

    def kill(self) -> None:
        """End without a word to the group; safe to call again."""
        self._process.kill()
        self._process.wait()
        self._end_input("")
        for listener in self._listeners:
            listener.join()

    def _end_input(self, last: str) -> None:
        lines = self._process.stdin
        assert lines is not None
        if not lines.closed:
            with suppress(BrokenPipeError):  # it has ended by itself
                lines.write(last)
                lines.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if line.endswith("\n"):  # one who is killed may leave half a line
                    self._take(*line.split())

    def _take(self, kind: str, *words: str) -> None:
        match kind:
            case "assigned":
                self.assignments.append(frozenset(map(int, words[0].split(",") if words else ())))
            case "got":
                partition, offset = words
                self.got.append((int(partition), int(offset)))
            case "committed":
                partition, offset = words
                self.committed[int(partition)] = int(offset)
            case "failed":
                self.failure = " ".join(words)
            case "left":
                self.left = True

    def _listen_to_errors(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            self._errors.extend(lines)


class Group:
    """The members of one group; all of them end with the block, and then it prints what they have told."""

    def __init__(self, bootstrap: Callable[[], str], group: str, topic: str, partitions: int) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._topic = topic
        self._partitions = frozenset(range(partitions))
        self.members: list[Member] = []

    def __enter__(self) -> Group:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self.members:
            member.kill()
        for number, member in enumerate(self.members):  # shown where the test failed
            print(
                f"member {number}: assigned {[sorted(share) for share in member.assignments]} got {len(member.got)} "
                f"left {member.left} failed {member.failure}\n{member.errors}"
            )

    def join(self, client: str, **options: str | int) -> Member:
        """Start a member; it joins when it is ready."""
        member = Member(client, self._bootstrap(), self._group, self._topic, **options)
        self.members.append(member)
        return member

    def settled(self, *members: Member) -> bool:
        """Whether these have all partitions between them, each its own; none of them may have failed."""
        failed = [member.failure for member in members if member.failure]
        assert not failed, failed
        shares = [member.assigned for member in members]
        return all(shares) and sum(map(len, shares)) == len(self._partitions) == len(
            frozenset().union(*shares)
        )

    def settle(self, *members: Member) -> None:
        """Wait until these, and no others, have all partitions between them."""
        wait_until(lambda: self.settled(*members))

    @property
    def got(self) -> set[tuple[int, int]]:
        return {record for member in self.members for record in member.got}

    def process(self, records: Iterable[tuple[int, int]]) -> None:
        """Wait until all of these were processed by somebody."""
        wanted = set(records)
        wait_until(lambda: wanted <= self.got)
