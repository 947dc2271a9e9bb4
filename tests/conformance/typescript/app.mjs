// The scenarios with the TypeScript SDK, served by its own Node server; see ../scenarios.py for what each must do.
import http from "node:http";
import { NonRetriableError, RetryAfterError, StepError } from "inngest";
import { serve } from "inngest/node";
import { client, fail, functions, journal, scenario, step } from "./functions.mjs";
import "./coordination.mjs";

const VALUES = [
  null, "", 0, false, [], {}, "žluťoučký 💡\u2028", 1.5, Number.MAX_SAFE_INTEGER, { data: 1 }, { error: "no" },
];

scenario("single", 0, (ctx) => step(ctx, "only", () => ctx.event.data.n + 1));

scenario("no-step", 0, ({ event, events }) => ({
  name: event.name, id: event.id, data: event.data, events: events.length,
}));

scenario("sequential", 0, async (ctx) => {
  const a = await step(ctx, "a", () => ctx.event.data.n + 1);
  const b = await step(ctx, "b", () => a * 2);
  const c = await step(ctx, "c", () => b - 2);
  return { a, b, c };
});

scenario("repeated", 0, async (ctx) => {
  const found = [];
  for (let index = 0; index < 3; index++) found.push(await step(ctx, "again", () => index));
  return found;
});

scenario("values", 0, async (ctx) => {
  const found = [];
  for (const [place, value] of VALUES.entries()) found.push(await step(ctx, `value-${place}`, () => value));
  return found;
});

scenario("retried", 3, async (ctx) => {
  const flaky = await step(ctx, "flaky", () => (ctx.attempt === 2 ? ctx.attempt : fail(new Error("not yet"))));
  return { flaky, after: await step(ctx, "after", () => ctx.attempt) };
});

scenario("failure-in-the-middle", 1, async (ctx) => {
  const a = await step(ctx, "a", () => "a");
  const b = await step(ctx, "b", () => (ctx.attempt === 1 ? "b" : fail(new Error("not yet"))));
  return [a, b, await step(ctx, "c", () => "c")];
});

scenario("caught", 1, async (ctx) => {
  try {
    await step(ctx, "broken", () => fail(new Error("it is broken")));
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    return { caught: error.message, after: await step(ctx, "after", () => "went on") };
  }
});

scenario("uncaught", 1, (ctx) => step(ctx, "broken", () => fail(new Error("it is broken"))));

scenario("function-error", 1, () => fail(new Error("the function is broken")));

scenario("function-recovers", 2, async (ctx) => {
  await step(ctx, "before", () => 1);
  if (ctx.attempt < 2) throw new Error("not yet");
  return { attempt: ctx.attempt };
});

scenario("non-retriable", 3, () => fail(new NonRetriableError("never again")));

scenario("step-non-retriable", 3, (ctx) => step(ctx, "broken", () => fail(new NonRetriableError("never again"))));

scenario("retry-after", 1, (ctx) =>
  step(ctx, "limited", () => (ctx.attempt === 0 ? fail(new RetryAfterError("too fast", "3s")) : ctx.attempt)),
);

scenario("sleep", 0, async (ctx) => {
  await step(ctx, "before", () => 1);
  await ctx.step.sleep("nap", "2s");
  return step(ctx, "after", () => "awake");
});

scenario("sleep-until", 0, async (ctx) => {
  const until = await step(ctx, "before", () => new Date(Date.now() + 1500).toISOString());
  await ctx.step.sleepUntil("nap", until);
  return step(ctx, "after", () => "awake");
});

scenario("parallel", 0, async (ctx) => {
  const first = await Promise.all([step(ctx, "a", () => 1), step(ctx, "b", () => 2)]);
  return [...first, ...(await Promise.all([step(ctx, "c", () => 3), step(ctx, "d", () => 4)]))];
});

scenario("parallel-then-step", 0, async (ctx) => {
  const both = await Promise.all([step(ctx, "a", () => 1), step(ctx, "b", () => 2)]);
  return [...both, await step(ctx, "after", () => 3)];
});

scenario("parallel-failure", 0, async (ctx) => {
  try {
    await Promise.all([step(ctx, "a", () => 1), step(ctx, "b", () => fail(new Error("b is broken")))]);
  } catch (error) {
    return { caught: error.message };
  }
});

scenario("parallel-sleep", 0, async (ctx) => {
  await Promise.all([step(ctx, "a", () => 1), ctx.step.sleep("nap", "2s")]);
  return step(ctx, "after", () => "awake");
});

scenario("race", 0, async (ctx) => {
  const pair = (one, two) => ctx.group.parallel({ mode: "race" }, () => Promise.all([one(), two()]));
  const first = await pair(() => step(ctx, "a", () => 1), () => step(ctx, "b", () => 2, 4));
  return [...first, ...(await pair(() => step(ctx, "c", () => 3), () => step(ctx, "d", () => 4, 8)))];
});

// The slow step is let go only when the function has gone on without it: called anew after its next step.
scenario("race-winner", 0, async (ctx) => {
  const runners = () => [step(ctx, "fast", () => "fast"), step(ctx, "slow", () => "slow", 6)];
  const winner = await ctx.group.parallel(() => Promise.race(runners()));
  return { winner, after: await step(ctx, "after", () => "went on") };
});

scenario("big-state", 0, async (ctx) => {
  const parts = [];
  for (let i = 0; i < 6; i++) parts.push(await step(ctx, `part-${i}`, () => String(i).repeat(900_000)));
  return { length: parts.join("").length, last: parts.at(-1).slice(0, 3) };
});

const inngest = serve({ client, functions });

const server = http.createServer((request, response) => {
  const [, place, run] = request.url.split("/");
  if (place !== "journal") return inngest(request, response);
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(journal.get(run) ?? []));
});

server.listen(Number(process.env.CONFORMANCE_PORT ?? 0), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
