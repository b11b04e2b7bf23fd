"""Goal: the faulty disk loses what it should, and never what was synced. Method: small files, many seeds."""

import errno

import pytest

from storage.errors import NoSpace, StorageFailure
from storage.fs import OpenMode
from storage.fs.faulty import POWER_LOSSES, FaultyFileSystem, Kind, Loss, Operation

SEEDS = range(200)


def durable_file(fs: FaultyFileSystem, path: str, data: bytes) -> None:
    file = fs.open(path, OpenMode.CREATE)
    file.append(data)
    file.sync()
    fs.sync_dir("/")


@pytest.mark.parametrize("loss", Loss)
def test_what_was_synced_survives_every_crash(loss: Loss) -> None:
    for seed in SEEDS:
        fs = FaultyFileSystem(seed)
        durable_file(fs, "/a", b"a" * 5000)
        after = fs.crash(loss)
        assert after.read_file("/a") == b"a" * 5000


@pytest.mark.parametrize("loss", Loss)
def test_a_synced_file_without_a_synced_name_may_vanish(loss: Loss) -> None:
    found = set()
    for seed in SEEDS:
        fs = FaultyFileSystem(seed)
        fs.open("/a", OpenMode.CREATE).sync()
        found.add(fs.crash(loss).exists("/a"))
    expected = {Loss.NONE: {True}, Loss.ALL: {False}}
    assert found == expected.get(loss, {False, True})


def test_a_killed_process_loses_nothing() -> None:
    fs = FaultyFileSystem()
    durable_file(fs, "/a", b"abc")
    fs.open("/a", OpenMode.APPEND).append(b"def")
    fs.rename("/a", "/b")
    after = fs.crash(Loss.NONE)
    assert (after.listdir("/"), after.read_file("/b")) == (["b"], b"abcdef")


def test_all_loses_every_unsynced_byte_name_and_truncation() -> None:
    fs = FaultyFileSystem()
    durable_file(fs, "/a", b"abc")
    durable_file(fs, "/b", b"b")
    fs.open("/a", OpenMode.APPEND).append(b"def")
    fs.open("/b", OpenMode.APPEND).truncate(0)
    fs.rename("/b", "/c")
    fs.remove("/a")
    after = fs.crash(Loss.ALL)
    assert [after.read_file("/a"), after.read_file("/b")] == [b"abc", b"b"]
    assert after.listdir("/") == ["a", "b"]


def test_a_subset_leaves_holes_and_any_size() -> None:
    images = set()
    for seed in SEEDS:
        fs = FaultyFileSystem(seed)
        durable_file(fs, "/a", b"s" * 100)
        fs.open("/a", OpenMode.APPEND).append(b"u" * 20_000)
        image = fs.crash(Loss.SUBSET).read_file("/a")
        assert image.startswith(b"s" * 100)
        assert set(image[100:]) <= set(b"u\0")
        images.add(image)
    assert any(b"\0u" in image for image in images), "a later page survived an earlier one"
    assert any(image.endswith(b"\0") for image in images), "the size survived its bytes"
    assert any(len(image) == 100 for image in images)
    assert len(images) > 50


def test_a_torn_crash_keeps_the_first_writes_and_part_of_the_next() -> None:
    images = set()
    for seed in SEEDS:
        fs = FaultyFileSystem(seed)
        durable_file(fs, "/a", b"s")
        file = fs.open("/a", OpenMode.APPEND)
        for letter in (b"u", b"v", b"w"):
            file.append(letter * 50)
        images.add(fs.crash(Loss.TORN).read_file("/a"))
    whole = b"s" + b"u" * 50 + b"v" * 50 + b"w" * 50
    prefixes = {image for image in images if whole.startswith(image)}
    assert len({len(image) for image in prefixes}) > 50
    assert any(b"\0" in image for image in images - prefixes), "an inner part survived without its beginning"
    assert all(image.replace(b"\0", b"").strip(b"suvw") == b"" for image in images)


def test_renames_survive_whole_or_not_at_all() -> None:
    seen = set()
    for seed in SEEDS:
        fs = FaultyFileSystem(seed)
        durable_file(fs, "/a", b"new")
        durable_file(fs, "/b", b"old")
        fs.rename("/a", "/b")
        after = fs.crash(Loss.SUBSET)
        seen.add((after.exists("/a"), after.read_file("/b")))
    assert seen == {(True, b"old"), (False, b"new")}


def test_a_directory_keeps_its_content_through_an_unsynced_rename() -> None:
    fs = FaultyFileSystem()
    fs.makedirs("/x")
    durable_file(fs, "/x/a", b"abc")
    fs.sync_dir("/x")
    fs.rename("/x", "/y")
    assert fs.crash(Loss.ALL).read_file("/x/a") == b"abc"
    fs.sync_dir("/")
    assert fs.crash(Loss.ALL).read_file("/y/a") == b"abc"


def test_write_atomic_leaves_the_old_or_the_new_at_every_operation() -> None:
    seen = set()

    def crash(operation: Operation) -> None:
        for loss in POWER_LOSSES:
            seen.add(fs.crash(loss).read_file("/a"))

    for seed in SEEDS:
        fs = FaultyFileSystem(seed)
        fs.write_atomic("/a", b"old")
        fs.after = crash
        fs.write_atomic("/a", b"new content")
        assert fs.crash(Loss.ALL).read_file("/a") == b"new content"
    assert seen == {b"old", b"new content"}


def test_a_failed_sync_gives_the_pages_up_for_good() -> None:
    fs = FaultyFileSystem()
    durable_file(fs, "/a", b"abc")
    file = fs.open("/a", OpenMode.APPEND)
    file.append(b"def")
    fs.before = lambda operation: errno.EIO if operation.kind is Kind.SYNC else None
    with pytest.raises(StorageFailure, match="sync failed"):
        file.sync()
    fs.before = None
    with pytest.raises(StorageFailure, match="refused"):
        file.append(b"g")
    with pytest.raises(StorageFailure, match="refused"):
        file.sync()
    retried = fs.open("/a", OpenMode.APPEND)
    retried.append(b"ghi")
    retried.sync()
    assert retried.read_at(0, 9) == b"abcdefghi", "still readable"
    assert fs.crash(Loss.ALL).read_file("/a") == b"abc\0\0\0ghi", (
        "a second sync reports success and wrote nothing"
    )


def test_a_full_disk_changes_nothing_and_passes() -> None:
    fs = FaultyFileSystem()
    file = fs.open("/a", OpenMode.APPEND)
    file.append(b"abc")
    fs.before = lambda operation: errno.ENOSPC
    with pytest.raises(NoSpace):
        file.append(b"def")
    assert file.size() == 3
    fs.before = None
    file.append(b"def")
    assert file.read_at(0, 9) == b"abcdef"


def test_operations_are_numbered_and_a_crash_depends_on_the_seed_alone() -> None:
    def run(seed: int) -> tuple[list[Operation], list[bytes]]:
        fs = FaultyFileSystem(seed)
        operations: list[Operation] = []
        fs.after = operations.append
        fs.makedirs("/x/y")
        fs.write_atomic("/x/a", b"a" * 3000)
        fs.open("/x/a", OpenMode.APPEND).append(b"b" * 30_000)
        fs.sync_dir("/")
        return operations, [fs.crash(loss).read_file("/x/a") for loss in (Loss.SUBSET, Loss.TORN)]

    operations, images = run(1)
    assert [operation.number for operation in operations] == list(range(1, 10))
    assert [operation.kind.value for operation in operations] == [
        "mkdir", "mkdir", "create", "write", "sync", "rename", "sync_dir", "write", "sync_dir",
    ]  # fmt: skip
    assert run(1) == (operations, images)
    assert run(2)[1] != images


def test_a_flipped_bit_is_seen_now_and_after_a_crash() -> None:
    fs = FaultyFileSystem()
    durable_file(fs, "/a", b"\0\0")
    fs.flip_bit("/a", 1, bit=3)
    assert fs.read_file("/a") == b"\0\x08"
    assert fs.crash(Loss.ALL).read_file("/a") == b"\0\x08"
    assert list(fs.walk()) == ["/a"]
