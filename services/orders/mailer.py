"""Takes the outbox to SMTP: `python -m services.orders.mailer smtp=HOST:PORT [name=value …]`.

Here the transactions end: a mail server cannot be part of one. A mail is sent first and its position committed
afterwards, so that each is sent at least once; after a crash some are sent again, under the Message-ID that they had,
by which a receiver can tell.
"""

from __future__ import annotations

import logging
import smtplib
import sys
from collections.abc import Sequence
from email.message import EmailMessage
from threading import Event
from typing import Protocol, cast

from confluent_kafka import Consumer, KafkaException, Message

from services.orders import serde, topics
from services.orders.process import settings_for, stop_on_signals
from services.orders.schemas import Mail
from services.orders.settings import Settings
from services.runtime.clients import group_consumer
from services.runtime.health import HealthServer
from services.runtime.logs import log

_FROM = "orders@orders.example"
_BATCH = 50
_RETRY_S = 2.0


class Transport(Protocol):
    def send(self, mails: Sequence[EmailMessage]) -> None:
        """All of them, or raise OSError or SMTPException; then they are sent again."""


class Smtp:
    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)

    def send(self, mails: Sequence[EmailMessage]) -> None:
        with smtplib.SMTP(self._host, self._port, timeout=20) as connection:
            for mail in mails:
                try:
                    connection.send_message(mail)
                except smtplib.SMTPRecipientsRefused as refusal:
                    if not all(code >= 500 for code, _reason in refusal.recipients.values()):
                        raise
                    log(__name__, "no such mailbox", level=logging.ERROR, id=mail["Message-ID"])
                except smtplib.SMTPNotSupportedError as refusal:  # an address beyond ASCII
                    log(
                        __name__,
                        "not for this server",
                        level=logging.ERROR,
                        id=mail["Message-ID"],
                        reason=str(refusal),
                    )


def message_of(mail: Mail) -> EmailMessage:
    message = EmailMessage()
    message["Message-ID"] = mail.message_id
    message["From"] = _FROM
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message.set_content(mail.body)
    return message


def run(settings: Settings, transport: Transport, stop: Event, url: str) -> None:
    """Until `stop` is set. Raises KafkaException."""
    consumer: Consumer = group_consumer(
        settings, "mailer", f"mailer@{url}", **{"auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topics.OUTBOX_EMAILS])
    try:
        while not stop.is_set():
            records = [message for message in consumer.consume(_BATCH, 0.5) if message.error() is None]
            mails = [mail for mail in map(_read, records) if mail is not None]
            while mails and not stop.is_set() and not _sent(transport, mails):
                stop.wait(_RETRY_S)
            if records and not stop.is_set():
                consumer.commit(asynchronous=False)
    finally:
        consumer.close()


def _sent(transport: Transport, mails: Sequence[EmailMessage]) -> bool:
    try:
        transport.send(mails)
    except (OSError, smtplib.SMTPException) as error:
        log(__name__, "mail server refused", level=logging.WARNING, error=str(error))
        return False
    return True


def _read(message: Message) -> EmailMessage | None:
    """None, and an error in the log, for what can never be sent: it holds nobody else's mail up."""
    try:
        return message_of(cast(Mail, serde.decode(topics.OUTBOX_EMAILS, message.value())))
    except Exception as error:  # the library's reader of addresses fails in many ways
        log(__name__, "not a mail", level=logging.ERROR, offset=message.offset(), reason=str(error))
        return None


def main(arguments: Sequence[str]) -> int:
    settings = settings_for("mailer", arguments)
    if settings is None or not settings.smtp:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    server = HealthServer(settings.http_host, settings.http_port, lambda: (True, {"service": "mailer"}), {})
    log(__name__, "ready", url=server.url)
    try:
        run(settings, Smtp(settings.smtp), stop_on_signals(), server.url)
    except KafkaException as error:
        log(__name__, "cannot go on", level=logging.ERROR, error=str(error))
        return 1
    finally:
        server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
