"""Chaos from a seed: services and the broker killed and started again, instances added, suspended and removed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from tests.services.ecosystem import Ecosystem

EVENTS_EACH_ONCE = ("orders", "details", "fraud", "inventory", "payment", "email", "card_fraud")


class Chaos:
    """`log` says what was done, for a failure's report."""

    def __init__(self, ecosystem: Ecosystem, seed: int) -> None:
        self._ecosystem = ecosystem
        self._chosen = random.Random(seed)
        self.log: list[str] = []

    async def once_each(self, pause_s: float, *, broker: bool) -> None:
        """Each service killed once, in some order, and the broker in between."""
        events: list[Callable[[], None]] = [self._killing(name) for name in EVENTS_EACH_ONCE]
        if broker:
            events.append(self._kill_broker)
        self._chosen.shuffle(events)
        for event in events:
            await asyncio.sleep(self._chosen.uniform(0.5, 1.5) * pause_s)
            await asyncio.to_thread(event)

    async def at_random(self, count: int, pause_s: float, *, brokers: int) -> None:
        """So many events of any kind, with so many kills of the broker among them."""
        kinds = [self._kill_any] * 6 + [self._add, self._remove, self._pause]
        events = [self._kill_broker] * brokers + self._chosen.choices(kinds, k=count - brokers)
        self._chosen.shuffle(events)
        for event in events:
            await asyncio.sleep(self._chosen.uniform(0.2, 1.8) * pause_s)
            await asyncio.to_thread(event)

    def _killing(self, name: str) -> Callable[[], None]:
        def kill() -> None:
            instance = self._chosen.choice(self._ecosystem.instances) if name == "orders" else "1"
            self.log.append(f"kill {name}-{instance}")
            self._ecosystem.services.kill(name, instance)

        return kill

    def _kill_any(self) -> None:
        self._killing(self._chosen.choice(EVENTS_EACH_ONCE))()

    def _kill_broker(self) -> None:
        self.log.append("kill broker")
        self._ecosystem.broker.kill_and_restart()

    def _add(self) -> None:
        if len(self._ecosystem.instances) < 4:
            self.log.append(f"add orders-{self._ecosystem.add_instance()}")

    def _remove(self) -> None:
        if len(self._ecosystem.instances) > 2:
            kill = self._chosen.random() < 0.5
            instance = self._ecosystem.instances.pop()
            self.log.append(f"{'kill' if kill else 'stop'} orders-{instance} for good")
            self._ecosystem.services.remove("orders", instance, kill=kill)

    def _pause(self) -> None:
        """Silent past its session, not dead: it comes back believing that it owns its partitions."""
        instance = self._chosen.choice(self._ecosystem.instances)
        self.log.append(f"pause orders-{instance}")
        self._ecosystem.services.pause("orders", instance, 8)
