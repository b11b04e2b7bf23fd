"""Goal: a bar below the lines on a terminal, a percentage in them elsewhere. Method: streams of both kinds."""

from __future__ import annotations

from io import StringIO

from bench.progress_bar import ProgressBar


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_lie_above_the_bar() -> None:
    stream = Terminal()
    bar = ProgressBar(4, stream)
    bar.step("first")
    drawn = stream.getvalue().split("\r")
    assert drawn[-2] == "\x1b[Kfirst\n"
    assert drawn[-1].startswith("[########------------------------]  25%  1 of 4 steps  0:0")
    bar.close()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_without_a_terminal_each_step_says_how_far() -> None:
    stream = StringIO()
    bar = ProgressBar(2, stream)
    bar.say("begins")
    bar.step("one")
    bar.step("two")
    bar.step("more than were announced")
    bar.close()
    assert stream.getvalue() == "begins\n 50%  one\n100%  two\n100%  more than were announced\n"


def test_steps_that_will_not_come_are_jumped_over() -> None:
    bar = ProgressBar(10, StringIO())
    bar.reach(6)
    assert bar.done == 6
    bar.reach(60)
    assert bar.done == 10


def test_what_was_said_is_not_said_again() -> None:
    stream = StringIO()
    bar = ProgressBar(1, stream)
    for _ in range(2):
        bar.say_once("logd: synced")
    assert stream.getvalue() == "logd: synced\n"
