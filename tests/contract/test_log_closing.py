"""Does a log that is closed with records on their way come to an end?"""

from __future__ import annotations

import asyncio

import pytest

from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.topics import create
from processor.domain.topics import Topics
from processor.local.stack import Stack
from processor.ports.log import Append, LogFailure, Place

RECORDS = 200
RECORD = bytes(100 * 1024)


@pytest.mark.timeout(30)
async def test_closing_with_more_than_a_batch_on_its_way_ends_and_answers_every_call(
    stack: Stack, namespace: str
) -> None:
    topics = Topics(namespace)
    await create(stack.kafka, topics, partitions=1, copies=1, in_sync=1)
    place = Place(topics.lanes[-1], 0)
    async with KafkaLog(stack.kafka) as log:
        calls = [
            asyncio.create_task(log.append([Append(place, b"key", RECORD)])) for _ in range(RECORDS)
        ]
        await calls[0]
    answers = [answer for call in calls for answer in await call]
    assert len(answers) == RECORDS
    offsets = [answer for answer in answers if not isinstance(answer, LogFailure)]
    assert offsets == list(range(len(offsets))), "what was appended kept its order"
