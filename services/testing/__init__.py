"""For users' tests: their functions, unchanged, in a world whose time they move. See `docs/testing.md`.

    async with World(app) as world:
        run = await world.start("contacts/uploaded", {"upload_id": 1})
        await world.skip(days=7)
        assert run.output == {"reminded": True}

No Kafka, no server, no sleeping: a month passes in milliseconds. What decides is the code of the services themselves.
"""

from .views import RunView, StepView, Timer, WaitView
from .world import World, WorldError

__all__ = ["RunView", "StepView", "Timer", "WaitView", "World", "WorldError"]
