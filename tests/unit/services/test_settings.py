"""Goal: settings come from file, environment and command line, in that order, and what is wrong ends the start."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from services.orders.settings import Settings
from services.runtime.settings import BadSettings, load


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "orders.toml"
    file.write_text('bootstrap = "file:1"\nfraud_limit = "10"\npartitions = 3\n')
    environment = {"ORDERS_CONFIG": str(file), "ORDERS_FRAUD_LIMIT": "20.5", "ORDERS_PARTITIONS": "4"}
    settings = load(Settings, ["partitions=5"], environment)
    assert (settings.bootstrap, settings.fraud_limit, settings.partitions) == ("file:1", Decimal("20.5"), 5)
    assert load(Settings, [], {}) == Settings()


@pytest.mark.parametrize(
    "argument", ["partition=5", "partitions=many", "partitions=0", "http_port=65536", "nonsense"]
)
def test_wrong_arguments(argument: str) -> None:
    with pytest.raises(BadSettings):
        load(Settings, [argument], {})


@pytest.mark.parametrize("text", ["partition = 5", "=", None])
def test_wrong_files(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "orders.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadSettings):
        load(Settings, [], {"ORDERS_CONFIG": str(file)})
