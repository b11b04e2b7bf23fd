"""Goal: the file systems in memory behave as the real one. Method: the same random operations on all three."""

import tempfile
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import StorageFailure
from storage.fs import File, FileSystem, OpenMode
from storage.fs.faulty import FaultyFileSystem, Loss
from storage.fs.memory import MemoryFileSystem
from storage.fs.real import RealFileSystem

FILES = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a"])
DIRECTORIES = st.sampled_from(["d", "d/e", "f"])

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), FILES, st.binary(max_size=20)),
        st.tuples(st.just("create"), FILES),
        st.tuples(st.just("truncate"), FILES, st.integers(0, 20)),
        st.tuples(st.just("write_atomic"), FILES, st.binary(max_size=20)),
        st.tuples(st.just("mkdir"), DIRECTORIES),
        st.tuples(st.just("remove"), FILES | DIRECTORIES),
        st.sampled_from(
            [("rename", "a", "b"), ("rename", "d", "f"), ("rename", "f", "d"), ("rename", "d/a", "d/b")]
        ),
    ),
    max_size=30,
)


def apply(fs: FileSystem, root: str, operation: tuple) -> object:  # type: ignore[type-arg]
    """Performs one operation; what it returned, or that it failed."""
    kind, name, *rest = operation
    path = f"{root}/{name}"
    actions: dict[str, Callable[[], object]] = {
        "append": lambda: fs.open(path, OpenMode.APPEND).append(rest[0]),
        "create": lambda: fs.open(path, OpenMode.CREATE).size(),
        "truncate": lambda: cut(fs.open(path, OpenMode.APPEND), rest[0]),
        "write_atomic": lambda: fs.write_atomic(path, rest[0]),
        "mkdir": lambda: fs.mkdir(path),
        "remove": lambda: fs.remove_tree(path) if fs.is_dir(path) else fs.remove(path),
        "rename": lambda: fs.rename(path, f"{root}/{rest[0]}"),
    }
    try:
        return actions[kind]()
    except StorageFailure:
        return "failed"


def cut(file: File, size: int) -> None:
    file.truncate(min(size, file.size()))


def tree(fs: FileSystem, path: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in fs.listdir(path):
        child = f"{path}/{name}"
        found[name] = tree(fs, child) if fs.is_dir(child) else fs.read_file(child)
    return found


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_three_file_systems_agree(operations: list[tuple]) -> None:  # type: ignore[type-arg]
    with tempfile.TemporaryDirectory() as directory:
        systems: list[FileSystem] = [RealFileSystem(), MemoryFileSystem(), FaultyFileSystem()]
        for fs in systems:
            fs.makedirs(directory)
        for operation in operations:
            results = [apply(fs, directory, operation) for fs in systems]
            assert results[1:] == results[:1] * 2, operation
            trees = [tree(fs, directory) for fs in systems]
            assert trees[1:] == trees[:1] * 2, operation


@given(
    st.lists(
        st.one_of(st.binary(min_size=1, max_size=3000), st.just("sync"), st.integers(0, 5000)), max_size=12
    ),
    st.sampled_from(list(Loss)),
    st.integers(0, 1 << 32),
)
def test_a_crash_never_touches_what_was_synced_and_left_alone(
    steps: list[bytes | str | int], loss: Loss, seed: int
) -> None:
    fs = FaultyFileSystem(seed)
    file = fs.open("/a", OpenMode.CREATE)
    fs.sync_dir("/")
    synced = b""
    for step in steps:
        if isinstance(step, bytes):
            file.append(step)
        elif isinstance(step, str):
            file.sync()
            synced = file.read_at(0, file.size())
        else:
            file.truncate(min(step, file.size()))
            synced = synced[: file.size()]
    assert fs.crash(loss).read_file("/a").startswith(synced)
