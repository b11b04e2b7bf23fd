"""Goal: input is cut into the records that it holds, however it arrives. Method: any split of a stream; real pipes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.cli import produce_input
from logd.cli.produce_input import RecordSplitter, RecordTooLong, read_chunks


@given(
    st.lists(st.sampled_from([b"a", b"\n", b";", b";;", b"xyz"])),
    st.sampled_from([b"\n", b";", b";;", b"a;"]),
)
def test_any_split_of_a_stream_gives_the_same_records(pieces: list[bytes], delimiter: bytes) -> None:
    splitter = RecordSplitter(delimiter)
    found = [record for piece in pieces for record in splitter.feed(piece)] + splitter.finish()
    expected = b"".join(pieces).split(delimiter)
    assert found == (expected if expected[-1] else expected[:-1])
    assert splitter.finish() == []


def test_a_record_without_end_is_not_collected_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(produce_input, "RECORD_BYTES_MAX", 10)
    splitter = RecordSplitter(b"\n")
    assert splitter.feed(b"12345678901\n1234567890") == [b"12345678901"]
    with pytest.raises(RecordTooLong):
        splitter.feed(b"1")


def test_a_pipe_gives_what_it_has_and_does_not_hold_up_the_loop() -> None:
    async def conversation() -> list[bytes]:
        reading, writing = os.pipe()
        got: list[bytes] = []

        async def read() -> None:
            with os.fdopen(reading, "rb") as file:
                async for data in read_chunks(file):
                    got.append(data)

        task = asyncio.create_task(read())
        async with asyncio.timeout(60):
            for count, piece in enumerate((b"one", b"two"), 1):
                await asyncio.sleep(0.02)
                os.write(writing, piece)
                while len(got) < count:
                    await asyncio.sleep(0.001)
            assert got == [b"one", b"two"]
            os.close(writing)
            await task
        return got

    assert asyncio.run(conversation()) == [b"one", b"two"]


def test_waiting_for_a_pipe_can_be_given_up() -> None:
    async def conversation() -> None:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as file, os.fdopen(writing, "wb"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    async for _ in read_chunks(file):
                        pass
            assert not asyncio.get_running_loop().remove_reader(reading), "nothing is left behind"

    asyncio.run(conversation())


def test_a_file_and_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    data = os.urandom(700_000)
    file.write_bytes(data)

    async def read(path: str) -> bytes:
        with open(path, "rb", buffering=0) as source:
            return b"".join([chunk async for chunk in read_chunks(source)])

    assert asyncio.run(read(str(file))) == data
    assert asyncio.run(read("/dev/null")) == b""
