"""Worlds, as users' tests use them: everything that functions may ask for, and only the time that the test skips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import inngest
import pytest

from penstock.errors import InvalidInput, PenstockError
from penstock.runs.gateway import OutboundRequest
from penstock.runs.outcomes import Responded
from penstock.testing import World, WorldError

from .apps import fast_api, flask_app

DAY = timedelta(days=1)
Functions = Sequence[inngest.Function[Any]]


def once(event: str) -> inngest.TriggerEvent:
    return inngest.TriggerEvent(event=event)


def waits(client: inngest.Inngest) -> Functions:
    """A function that takes a step, then waits for an event of its customer."""

    @client.create_function(fn_id="waits", trigger=once("order/placed"))
    async def function(ctx: inngest.Context) -> Any:
        async def note() -> str:
            return datetime.now(UTC).isoformat()

        noted = await ctx.step.run("note", note)
        paid = await ctx.step.wait_for_event(
            "payment", event="order/paid", if_exp="event.data.customer == async.data.customer", timeout=7 * DAY
        )
        return {"noted": noted, "paid": paid.data if paid else None}

    return [function]


async def test_an_event_ends_the_wait_of_its_run_alone() -> None:
    """Two runs wait for the same event name; the condition tells them apart."""
    async with World(fast_api(waits)) as world:
        ada = await world.start("order/placed", {"customer": "ada"})
        bob = await world.start("order/placed", {"customer": "bob"})
        await world.skip(days=3)
        assert await world.send("order/paid", {"customer": "bob", "sum": 5}) == []
        assert (ada.status, bob.status) == ("Running", "Completed")
        assert bob.output["paid"] == {"customer": "bob", "sum": 5}
        await world.finish(ada)
        assert ada.output["paid"] is None
        assert ada.ended_at == ada.started_at + 7 * DAY


async def test_an_event_that_came_before_the_trigger_is_none_of_the_run() -> None:
    """Looking back goes to the trigger and no further, even if no time was skipped in between."""
    async with World(fast_api(waits)) as world:
        await world.send("order/paid", {"customer": "ada"})
        run = await world.start("order/placed", {"customer": "ada"})
        (wait,) = run.waiting_for
        assert (wait.kind, wait.step, wait.what) == ("event", "payment", "order/paid")
        assert wait.condition == "event.data.customer == async.data.customer"


async def test_an_event_caused_by_the_step_before_is_not_missed() -> None:
    """A step whose answer arrives as an event before the wait for it is declared."""

    def define(client: inngest.Inngest) -> Functions:
        @client.create_function(fn_id="asks", trigger=once("ask"))
        async def function(ctx: inngest.Context) -> Any:
            await ctx.step.send_event("ask", inngest.Event(name="answer", data={"n": 42}))
            answer = await ctx.step.wait_for_event("answer", event="answer", timeout=DAY)
            return answer.data["n"] if answer else None

        return [function]

    async with World(fast_api(define)) as world:
        assert (await world.start("ask")).output == 42
    async with World(fast_api(define), lookback=timedelta(0)) as world:
        run = await world.start("ask")
        assert run.status == "Running", "by the setting `none`, events count from the registration on"
        assert (await world.finish(run)).output is None


async def test_user_code_has_the_time_of_the_world() -> None:
    """Steps read the clock of the world, sleeps end by it, and the process has its own time again afterwards."""
    at = datetime(2031, 3, 1, tzinfo=UTC)

    def define(client: inngest.Inngest) -> Functions:
        @client.create_function(fn_id="naps", trigger=once("nap"))
        async def function(ctx: inngest.Context) -> Any:
            async def now() -> str:
                return datetime.now(UTC).isoformat()

            before = await ctx.step.run("before", now)
            await ctx.step.sleep("nap", timedelta(days=30))
            await ctx.step.sleep_until("until summer", datetime(2031, 6, 1, tzinfo=UTC))
            return [before, await ctx.step.run("after", now)]

        return [function]

    async with World(fast_api(define), at=at) as world:
        run = await world.start("nap")
        assert [timer.kind for timer in world.timers] == ["sleep"]
        await world.skip(days=30)
        assert [wait.step for wait in run.waiting_for] == ["until summer"]
        await world.skip_to(datetime(2031, 6, 1, tzinfo=UTC))
        before, after = (datetime.fromisoformat(text) for text in run.output)
        assert before - at < timedelta(seconds=1)
        assert after == datetime(2031, 6, 1, tzinfo=UTC) == world.now
    assert datetime.now(UTC) < at


async def test_a_step_is_retried_by_itself_as_time_passes() -> None:
    """Attempts are minutes apart; what succeeded before is not run again; each test sees the same delays."""
    calls = {"first": 0, "flaky": 0}

    def define(client: inngest.Inngest) -> Functions:
        @client.create_function(fn_id="retries", trigger=once("go"), retries=3)
        async def function(ctx: inngest.Context) -> Any:
            async def first() -> None:
                calls["first"] += 1

            async def flaky() -> str:
                calls["flaky"] += 1
                if calls["flaky"] < 3:
                    raise ConnectionError("busy")
                return "done"

            await ctx.step.run("first", first)
            return await ctx.step.run("flaky", flaky)

        return [function]

    async with World(fast_api(define)) as world:
        run = await world.start("go")
        (retry,) = run.waiting_for
        assert (retry.kind, retry.attempt, retry.error["message"]) == ("retry", 1, "busy")
        assert timedelta(seconds=15) <= retry.until - world.now <= timedelta(seconds=45)
        await world.finish(run)
        assert (run.output, calls) == ("done", {"first": 1, "flaky": 3})
        assert run.step("flaky").attempts == 3


async def test_a_failed_run_calls_its_failure_handler() -> None:
    """The handler is a function of its own, started by the event that tells of the failure."""
    told: list[str] = []

    def define(client: inngest.Inngest) -> Functions:
        async def failed(ctx: inngest.Context) -> None:
            told.append(json.loads(json.dumps(ctx.event.data["error"]))["message"])

        @client.create_function(fn_id="fails", trigger=once("go"), retries=0, on_failure=failed)
        async def function(ctx: inngest.Context) -> None:
            raise ValueError("never")

        return [function]

    async with World(fast_api(define)) as world:
        run = await world.start("go")
        assert (run.status, run.output, run.error["message"]) == ("Failed", None, "never")
        assert told == ["never"]
        assert [each.function for each in world.runs()] == ["test-fails", "test-fails-failure"]
        assert world.events("inngest/function.failed")[0]["data"]["run_id"] == run.id


def invokes(client: inngest.Inngest) -> Functions:
    @client.create_function(fn_id="child", trigger=once("never"), retries=0)
    async def child(ctx: inngest.Context) -> int:
        await ctx.step.sleep("think", timedelta(hours=1))
        return int(str(ctx.event.data["n"])) * 2

    @client.create_function(fn_id="parent", trigger=once("go"))
    async def parent(ctx: inngest.Context) -> Any:
        return await ctx.step.invoke("ask", function=child, data={"n": 21})

    return [child, parent]


async def test_a_function_invokes_another() -> None:
    """The caller waits for the other's result; both runs are to be seen."""
    async with World(fast_api(invokes)) as world:
        run = await world.start("go")
        assert [(wait.kind, wait.what) for wait in run.waiting_for] == [("function", "test-child")]
        await world.skip(hours=1)
        assert run.output == 42
        (child,) = world.runs("test-child")
        assert child.event["name"] == "inngest/function.invoked"


async def test_a_test_invokes_a_function() -> None:
    """By its id, whatever would trigger it."""
    async with World(fast_api(invokes)) as world:
        run = await world.invoke("test-child", {"n": 4})
        assert (await world.finish(run)).output == 8
        with pytest.raises(WorldError, match=r"no function 'gone'.*test-child"):
            await world.invoke("gone")


async def test_a_run_is_cancelled() -> None:
    """By an event of its cancelOn, or by a person; the system tells of both."""

    def define(client: inngest.Inngest) -> Functions:
        cancel = inngest.Cancel(event="order/cancelled", if_exp="event.data.n == async.data.n")

        @client.create_function(fn_id="long", trigger=once("order"), cancel=[cancel])
        async def function(ctx: inngest.Context) -> None:
            await ctx.step.sleep("long", 30 * DAY)

        return [function]

    async with World(fast_api(define)) as world:
        first, second = await world.start("order", {"n": 1}), await world.start("order", {"n": 2})
        assert sorted(timer.kind for timer in first.timers) == ["cancel", "sleep"]
        await world.send("order/cancelled", {"n": 1})
        assert (first.status, second.status) == ("Cancelled", "Running")
        await world.cancel(second, "by a person")
        assert second.error["message"] == "by a person"
        assert (second.waiting_for, second.timers) == ([], [])
        cancelled = [event["data"]["run_id"] for event in world.events("inngest/function.cancelled")]
        assert cancelled == [first.id, second.id]


def cron(client: inngest.Inngest) -> Functions:
    @client.create_function(fn_id="nightly", trigger=inngest.TriggerCron(cron="TZ=Europe/Prague 30 2 * * *"))
    async def function(ctx: inngest.Context) -> str:
        return datetime.now(UTC).isoformat()

    return [function]


async def test_cron_fires_as_time_passes() -> None:
    """Once a night by the clock of its zone, also in the night when that clock is changed."""
    async with World(fast_api(cron), at=datetime(2026, 3, 28, tzinfo=UTC)) as world:
        await world.skip(days=3)
        assert [run.output for run in world.runs("test-nightly")] == [
            "2026-03-28T01:30:00+00:00",
            "2026-03-29T01:30:00+00:00",
            "2026-03-30T00:30:00+00:00",
        ]


async def test_parallel_steps() -> None:
    """Steps side by side are each run once, and waited for together."""
    ran: list[int] = []

    def define(client: inngest.Inngest) -> Functions:
        @client.create_function(fn_id="parallel", trigger=once("go"))
        async def function(ctx: inngest.Context) -> Any:
            async def one(n: int) -> int:
                ran.append(n)
                return n

            steps = [lambda n=n: ctx.step.run(f"step {n}", lambda: one(n)) for n in range(3)]
            return list(await ctx.group.parallel(tuple(steps)))

        return [function]

    async with World(fast_api(define)) as world:
        run = await world.start("go")
        assert run.output == [0, 1, 2]
        assert sorted(ran) == [0, 1, 2]


async def test_flask_and_functions_that_are_not_async() -> None:
    """WSGI apps are called as in production, in a thread; what they send reaches the world too."""

    def define(client: inngest.Inngest) -> Functions:
        @client.create_function(fn_id="sync", trigger=once("go"))
        def function(ctx: inngest.ContextSync) -> Any:
            ctx.step.send_event("tell", inngest.Event(name="told", data={"n": 1}))
            ctx.step.sleep("nap", DAY)
            return ctx.step.run("one", lambda: 1)

        return [function]

    async with World(flask_app(define)) as world:
        run = await world.start("go")
        assert [event["data"] for event in world.events("told")] == [{"n": 1}]
        assert (await world.finish(run)).output == 1


async def test_events_that_the_test_sends_by_the_sdk() -> None:
    """`client.send` of a client that the test has ends in the world, which takes it at its next move."""
    client = inngest.Inngest(app_id="elsewhere", is_production=False)
    async with World(fast_api(waits)) as world:
        ids = await client.send(inngest.Event(name="order/placed", data={"customer": "ada"}))
        await world.skip(seconds=0)
        (run,) = world.runs()
        assert run.event["id"] == ids[0]


async def test_other_requests_are_left_alone() -> None:
    """Requests of user code that are not for the server are none of the world's."""
    async with (
        World(fast_api(waits)),
        httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(418))) as http,
    ):
        assert (await http.get("http://elsewhere.test/e/key")).status_code == 418


async def test_requests_that_steps_ask_for() -> None:
    """The test answers in place of the API; without an answer nothing leaves the process."""
    asked: list[OutboundRequest] = []

    def define(client: inngest.Inngest) -> Functions:
        @client.create_function(fn_id="infers", trigger=once("go"), retries=0)
        async def function(ctx: inngest.Context) -> Any:
            from inngest.experimental.ai.openai import Adapter

            adapter = Adapter(auth_key="k3y", model="m", base_url="https://api.example.com")
            return await ctx.step.ai.infer("ask", adapter=adapter, body={"messages": []})

        return [function]

    def fetch(request: OutboundRequest) -> Responded:
        asked.append(request)
        return Responded(200, {}, b'{"said":"hi"}')

    async with World(fast_api(define), fetch=fetch) as world:
        assert (await world.start("go")).output == {"said": "hi"}
        assert (asked[0].host, asked[0].headers["authorization"]) == ("api.example.com", "Bearer k3y")
    async with World(fast_api(define)) as world:
        run = await world.start("go")
        assert "World(app, fetch=…)" in run.error["message"]


async def test_an_event_id_counts_once_a_day() -> None:
    """The sender's id deduplicates, and is forgotten after 24 hours."""
    async with World(fast_api(waits)) as world:
        assert len(await world.send("order/placed", {"customer": "ada"}, id="o-1")) == 1
        assert await world.send("order/placed", {"customer": "ada"}, id="o-1") == []
        await world.skip(days=1)
        assert len(await world.send("order/placed", {"customer": "ada"}, id="o-1")) == 1


async def test_an_event_of_the_future_waits_for_its_time() -> None:
    """A run of an event with a later `ts` begins then."""
    async with World(fast_api(waits)) as world:
        run = await world.start("order/placed", {"customer": "ada"}, ts=world.now + DAY)
        assert [wait.kind for wait in run.waiting_for] == ["start"]
        await world.skip(days=1)
        assert [wait.kind for wait in run.waiting_for] == ["event"]


async def test_the_same_test_gives_the_same_ids() -> None:
    """Runs, events and delays are derived, never drawn."""

    async def story() -> list[object]:
        async with World(fast_api(waits)) as world:
            run = await world.start("order/placed", {"customer": "ada"})
            await world.send("order/paid", {"customer": "ada"})
            return [run.id, run.output, world.events()]

    assert await story() == await story()


async def test_signed_calls() -> None:
    """An app that wants its calls signed gets them signed; without the key the world says what is missing."""
    key = "signkey-test-12345678"
    app = fast_api(waits, is_production=True, signing_key=key, event_key="e")
    async with World(app, signing_key=key) as world:
        run = await world.start("order/placed", {"customer": "ada"})
        assert run.waiting_for
    with pytest.raises(PenstockError, match="signing_key="):
        await World(app).__aenter__()


async def test_what_cannot_be_is_said() -> None:
    """Wrong paths, events that start nothing, bad events, times in the past, runs that never end."""
    app = fast_api(waits)
    with pytest.raises(PenstockError, match="answered 404"):
        await World(app, path="/elsewhere").__aenter__()
    with pytest.raises(PenstockError, match="needs a zone"):
        World(app, at=datetime(2026, 1, 1))
    async with World(app) as world:
        with pytest.raises(WorldError, match=r"started no run.*test-waits \(order/placed\)"):
            await world.start("order/paced")
        with pytest.raises(InvalidInput, match="names starting with inngest/"):
            await world.send("inngest/mine")
        with pytest.raises(WorldError, match="in the past"):
            await world.skip_to(world.now - DAY)
        run = await world.start("order/placed", {"customer": "ada"})
        with pytest.raises(WorldError, match="does not end by itself"):
            await world.finish(run, within=DAY)
        with pytest.raises(LookupError, match="there are: 'note'"):
            run.step("nothing")
        with pytest.raises(PenstockError, match="another world is open"):
            await World(app).__aenter__()
        assert run.status == "Running", "the world that was open is not harmed"


async def test_functions_that_start_one_another_in_a_circle() -> None:
    """A world does not run for good."""

    def define(client: inngest.Inngest) -> Functions:
        @client.create_function(fn_id="circle", trigger=once("go"))
        async def function(ctx: inngest.Context) -> None:
            await client.send(inngest.Event(name="go"))

        return [function]

    async with World(fast_api(define), max_calls=50) as world:
        with pytest.raises(WorldError, match="in a circle"):
            await world.start("go")
