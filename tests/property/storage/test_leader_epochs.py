"""Goal: after any appends and truncations, epoch queries answer what a log kept as a list of epochs answers."""

from hypothesis import given
from hypothesis import strategies as st

from storage.leader_epochs import UNDEFINED, LeaderEpochCache

APPEND = st.tuples(st.just("append"), st.integers(0, 3), st.integers(1, 4))
FROM_END = st.tuples(st.just("from_end"), st.integers(0, 30), st.just(0))
FROM_START = st.tuples(st.just("from_start"), st.integers(0, 30), st.just(0))


def end_offset_for(log: dict[int, int], start: int, end: int, epoch: int) -> tuple[int, int]:
    """By the definition: `log` is the epoch of every record in [start, end)."""
    epochs = sorted(set(log.values()))
    if epoch < 0 or not epochs or epoch > epochs[-1]:
        return UNDEFINED
    not_above = [known for known in epochs if known <= epoch]
    if not not_above:
        return epoch, start
    found = not_above[-1]
    return found, 1 + max(offset for offset, known in log.items() if known == found)


@given(st.lists(st.one_of(APPEND, APPEND, FROM_END, FROM_START), max_size=30))
def test_a_cache_answers_as_a_list_of_records_does(steps: list[tuple[str, int, int]]) -> None:
    cache = LeaderEpochCache()
    log: dict[int, int] = {}
    start = end = epoch = 0
    for step, argument, count in steps:
        if step == "append":
            epoch = max(log.values(), default=epoch) + argument
            cache.assign(epoch, end)
            log.update(dict.fromkeys(range(end, end + count), epoch))
            end += count
        elif step == "from_end":
            end = max(min(argument, end), start)
            cache.truncate_from_end(end)
        else:
            # A log whose records are all deleted knows its last epoch still; a list of records does not.
            start = max(min(argument, end - 1), start)
            cache.truncate_from_start(start)
        log = {offset: known for offset, known in log.items() if start <= offset < end}

        assert cache.latest == max(log.values(), default=-1)
        assert cache.entries == sorted(cache.entries)
        for asked in range(-1, max(log.values(), default=0) + 3):
            assert cache.end_offset_for(asked, end) == end_offset_for(log, start, end, asked)
        for offset in range(start, end):
            assert cache.epoch_at(offset) == log[offset]
        assert LeaderEpochCache(cache.entries).entries == cache.entries
