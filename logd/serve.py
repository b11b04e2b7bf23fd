"""`logd serve`: from options to a running broker, and the lines a user sees on the way.

Options are short forms of properties: --data-dir is log.dirs; --host and --port are one PLAINTEXT listener that
replaces `listeners` and `advertised.listeners` of the file and the environment.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from logd.config import BrokerConfig, load_config
from logd.console import say, warn
from logd.errors import ConfigError, StartupError


class ServeOptions(NamedTuple):
    data_dir: str | None
    host: str | None
    port: str | None
    properties: tuple[str, ...]
    config_file: str | None
    in_memory: bool


def serve(options: ServeOptions, *, started: float) -> int:
    """Runs until the broker is stopped. `started`: time.perf_counter() when the process began. Raises StartupError."""
    if not options.in_memory:
        return _run(_load(options, options.data_dir), started)
    if options.data_dir is not None:
        raise ConfigError("--memory and --data-dir exclude each other", "choose one")
    import shutil  # noqa: PLC0415 - only for --memory

    directory = _make_memory_directory()
    try:
        return _run(_load(options, directory), started)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(config: BrokerConfig, started: float) -> int:
    _check_apart(config.log_dirs)
    if len(config.log_dirs) == 1:  # of several, some may fail: the broker tells them apart
        _make_usable(config.log_dirs[0])
    if config.metadata_log_dir is not None:
        _make_usable(config.metadata_log_dir)
    _print_properties_without_effect(config)
    from logd.process import run  # noqa: PLC0415 - after the options are known to be right

    return run(config, started=started)


def _load(options: ServeOptions, data_dir: str | None) -> BrokerConfig:
    properties = list(options.properties)
    names = {pair.partition("=")[0].strip() for pair in properties}
    replaced: list[str] = []
    if options.host is not None or options.port is not None:
        if "listeners" in names:
            raise ConfigError("--host and --port exclude -X listeners", "name host and port in listeners")
        properties.append(f"listeners={_listener(options)}")
        replaced = ["advertised.listeners"]
    if data_dir is not None:
        if names & {"log.dir", "log.dirs"}:
            option = "--memory" if options.in_memory else "--data-dir"
            raise ConfigError(f"{option} excludes -X log.dirs and -X log.dir", "choose one")
        if not data_dir.strip():  # an unset variable of a script: the default would be some other directory
            raise ConfigError("--data-dir names no directory", "name one")
        if "," in data_dir:
            raise ConfigError(f"the data directory {data_dir} has a comma in its name", "name it without")
        properties.append(f"log.dirs={data_dir}")
    return load_config(
        properties,
        environment=os.environ,
        file=options.config_file,
        in_memory=options.in_memory,
        replaced=replaced,
    )


def _listener(options: ServeOptions) -> str:
    host = "127.0.0.1" if options.host is None else options.host.strip("[]")
    port = "9092" if options.port is None else options.port
    if not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ConfigError(f"bad port {port!r}", "a port is 0 to 65535, 0 for any free one")
    return f"PLAINTEXT://[{host}]:{port}" if ":" in host else f"PLAINTEXT://{host}:{port}"


def _make_memory_directory() -> str:
    import tempfile  # noqa: PLC0415 - only for --memory

    shared_memory = "/dev/shm"
    usable = os.path.isdir(shared_memory) and os.access(shared_memory, os.W_OK)
    return tempfile.mkdtemp(prefix="logd-", dir=shared_memory if usable else None)


def _check_apart(directories: Sequence[str]) -> None:
    """None may be another under a second name, or lie within it, where it would be taken for a partition."""
    try:
        places = [(os.path.realpath(directory), directory) for directory in directories]
    except FileNotFoundError:  # nothing but the working directory has to be there
        raise StartupError("the working directory was removed", "change to one that is there") from None
    for number, (place, directory) in enumerate(places):
        for other_place, other in places[number + 1 :]:
            if place == other_place:
                raise ConfigError(
                    f"log.dirs names one directory twice, as {directory} and {other}", "name it once"
                )
            shorter, longer = sorted((place, other_place), key=len)
            if longer.startswith(shorter.rstrip("/") + "/"):
                raise ConfigError(
                    f"of log.dirs {directory} and {other}, one lies within the other", "keep them apart"
                )


def _make_usable(directory: str) -> None:
    try:
        os.makedirs(directory, exist_ok=True)
    except FileExistsError:
        if os.path.islink(directory):
            raise StartupError(
                f"the data directory {directory} is a link to {os.readlink(directory)}, which does not exist",
                "make that directory, or name another",
            ) from None
        raise StartupError(f"the data directory {directory} is a file", "name a directory") from None
    except NotADirectoryError:
        raise StartupError(f"the data directory {directory} lies below a file", "name a directory") from None
    except OSError as error:
        raise StartupError(
            f"cannot make the data directory {directory}: {error.strerror}", "check its parent's permissions"
        ) from None
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise StartupError(
            f"the data directory {directory} is not writable for this user",
            "change its owner or name another",
        )


def _print_properties_without_effect(config: BrokerConfig) -> None:
    for warning in config.settings.warnings:
        warn(warning)
    if config.settings.without_effect:
        say(f"taken without effect: {', '.join(sorted(config.settings.without_effect))}")
