"""What time is it by the broker's clock?

The protocol does not tell: a record is appended to a topic made for it, which is deleted again, and
the broker says when that was.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError, NoError, for_code

from processor.adapters.kafka.connection import CLIENT_ID, begin, first_line
from processor.adapters.kafka.topics import administering, lead
from processor.domain.errors import Unavailable
from processor.ports.log import Place

if TYPE_CHECKING:
    from processor.domain.topics import Topics

_SETTINGS: Final = {"message.timestamp.type": "LogAppendTime", "retention.ms": "60000"}


async def clock_ahead(address: str, topics: Topics) -> float | None:
    """Seconds that the broker's clock is ahead of this machine's, to some hundredths.

    None where this user may not make a topic. Raises `Unavailable`.
    """
    name = f"{topics.namespace}.doctor-{secrets.token_hex(4)}"
    async with administering(address) as admin:
        answer = await admin.create_topics([NewTopic(name, 1, 1, topic_configs=_SETTINGS)])
        if any(for_code(code) is not NoError for _, code, *_ in answer.topic_errors):
            return None
        try:
            await lead(address, [Place(name, 0)])
            return await _appended(address, name)
        finally:
            await admin.delete_topics([name])


async def _appended(address: str, topic: str) -> float:
    producer: Any = AIOKafkaProducer(bootstrap_servers=address, client_id=CLIENT_ID, acks="all")
    await begin(producer, address)
    try:
        await producer.send_and_wait(topic, b"once, for the connection", partition=0)
        before = time.time()
        told = await producer.send_and_wait(topic, b"what time is it?", partition=0)
        after = time.time()
    except KafkaError as error:
        raise Unavailable(
            f"the broker at {address} did not take a record ({first_line(error)})"
        ) from error
    finally:
        await producer.stop()
    return float(told.timestamp) / 1000 - (before + after) / 2
