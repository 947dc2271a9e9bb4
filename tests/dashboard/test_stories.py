"""Every view and every action of the dashboard, in a real browser against the running system."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from penstock.kafka import clients

from ..stack import Stack
from .conftest import Browser

STORIES = re.findall(r'^  "([^"]+)": async', (Path(__file__).parent / "stories.mjs").read_text("utf-8"), re.MULTILINE)
BROKEN_EVENT = '{"name": "other/broken", "data": '


@pytest.fixture(scope="module", autouse=True)
def dead_letter(system: Stack) -> str:
    """A record on the events topic that nobody can decode."""
    producer = Producer(clients.producer(system.kafka, "test"))
    producer.produce(system.kafka.topics().events, BROKEN_EVENT.encode(), b"key")
    assert producer.flush(20) == 0
    return BROKEN_EVENT


@pytest.mark.parametrize("story", STORIES)
def test_story(story: str, system: Stack, browser: Browser, pictures: Callable[[], str]) -> None:
    """The story's name says what people do; nothing is asked of another host, no script of the page fails."""
    done = browser.run(story, system.url, pictures(), DEAD_LETTER_TEXT=BROKEN_EVENT)
    assert done.returncode == 0, done.stderr + done.stdout
