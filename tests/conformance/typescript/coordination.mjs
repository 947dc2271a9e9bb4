// What a step can ask for besides running code: others' events, signals, other functions, requests.
import { referenceFunction, StepError } from "inngest";
import { APP, define, fail, note, OUTSIDE, scenario, step } from "./functions.mjs";

// What an error of the step says, where the function expects one.
async function caught(promise) {
  try {
    return await promise;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    return { caught: error.message };
  }
}

const child = scenario("child", 0, ({ event }) => ({ doubled: event.data.n * 2, by: event.name }));

const childNothing = scenario("child-nothing", 0, () => null);

const childBroken = scenario("child-broken", 0, () => fail(new Error("the child is broken")));

const sleepAnHour = async (ctx) => {
  if (ctx.event.data.parent) note(ctx.event.data.parent, `child:${ctx.runId}`);
  await ctx.step.sleep("hour", "1h");
};
const childAsleep = scenario("child-asleep", 0, sleepAnHour, { cancelOn: [{ event: `${APP}/child-asleep.stop` }] });

scenario("invoke", 0, (ctx) => ctx.step.invoke("child", { function: child, data: ctx.event.data }));

const reference = (functionId) => referenceFunction({ appId: APP, functionId });

scenario("invoke-by-id", 0, (ctx) => ctx.step.invoke("child", { function: reference("child"), data: ctx.event.data }));

scenario("invoke-nothing", 0, (ctx) => ctx.step.invoke("child", { function: childNothing }));

scenario("invoke-failure", 0, (ctx) => caught(ctx.step.invoke("child", { function: childBroken })));

scenario("invoke-failure-uncaught", 3, (ctx) => ctx.step.invoke("child", { function: childBroken }));

scenario("invoke-timeout", 0, async (ctx) => {
  await step(ctx, "before", () => 1);
  const found = await caught(ctx.step.invoke("child", { function: childAsleep, data: {}, timeout: "1s" }));
  return step(ctx, "after", () => found);
});

scenario("invoke-unknown", 0, (ctx) => caught(ctx.step.invoke("child", { function: reference("nowhere") })));

scenario("invoke-cancelled", 0, (ctx) =>
  caught(ctx.step.invoke("child", { function: childAsleep, data: { parent: ctx.runId } })),
);

scenario("received", 0, ({ event }) => event.data);

scenario("send-events", 0, async (ctx) => {
  const events = [0, 1].map((number) => ({ name: `${APP}/received`, data: { number } }));
  return (await ctx.step.sendEvent("send", events)).ids;
});

scenario("parallel-all", 0, async (ctx) => {
  const [result, a, b, sent] = await Promise.all([
    ctx.step.invoke("child", { function: child, data: ctx.event.data }),
    step(ctx, "a", () => 1),
    step(ctx, "b", () => 2),
    ctx.step.sendEvent("send", { name: `${APP}/received`, data: { number: 2 } }),
  ]);
  return [result, a, b, sent.ids.length, await step(ctx, "after", () => 3)];
});

const seen = (event) => (event === null ? null : { name: event.name, id: event.id, data: event.data });

// What the event brought that the run waited for.
const wait = async (ctx, name, options = {}) =>
  seen(await ctx.step.waitForEvent(name, { event: `${APP}/${name}`, timeout: "1h", ...options }));

scenario("wait-if", 0, (ctx) =>
  wait(ctx, "wait-if.go", { if: "async.data.n == event.data.n && async.data.mark != 'wrong'" }),
);

scenario("wait-either", 0, (ctx) =>
  wait(ctx, "wait-either.go", { if: "async.data.n == event.data.n || async.data.n > 100" }),
);

scenario("wait-match", 0, (ctx) => wait(ctx, "wait-match.go", { match: "data.n" }));

scenario("wait-any", 0, (ctx) => wait(ctx, "wait-any.go"));

scenario("wait-timeout", 0, async (ctx) => {
  await step(ctx, "before", () => 1);
  const found = await wait(ctx, "wait-timeout.go", { timeout: "1s" });
  return step(ctx, "after", () => ({ found }));
});

scenario("wait-past", 0, (ctx) => wait(ctx, "wait-past.go", { timeout: new Date(Date.now() - 60_000) }));

scenario("wait-trigger", 0, (ctx) => wait(ctx, "wait-trigger", { timeout: "1s" }));

scenario("wait-parallel", 0, (ctx) =>
  Promise.all([
    wait(ctx, "wait-parallel.one"),
    wait(ctx, "wait-parallel.two", { timeout: "1s" }),
    wait(ctx, "wait-parallel.three"),
  ]),
);

scenario("wait-twice", 0, async (ctx) => {
  const next = (id) => ctx.step.waitForEvent(id, { event: `${APP}/wait-twice.go`, timeout: "1h" });
  const first = await next("first");
  return [seen(first), seen(await next("second"))];
});

scenario("wait-lookback", 0, async (ctx) => {
  await ctx.step.sendEvent("ask", { id: `${APP}-answer`, name: `${APP}/wait-lookback.go`, data: { n: 20 } });
  return wait(ctx, "wait-lookback.go", { if: "async.data.n == event.data.n" });
});

scenario("wait-condition", 3, (ctx) => wait(ctx, "wait-condition.go", { if: "async.data.n == == 1" }));

scenario("wait-many", 0, (ctx) => wait(ctx, "wait-many.go", { match: "data.group" }));

const stoppedBy = (name, options) => ({ cancelOn: [{ event: `${APP}/${name}.stop`, ...options }] });

scenario("cancel-on", 0, (ctx) => ctx.step.sleep("hour", "1h"), stoppedBy("cancel-on", { match: "data.n" }));

scenario(
  "cancel-on-late",
  0,
  async (ctx) => {
    await ctx.step.sleep("past the timeout", "2s");
    await ctx.step.sendEvent("stop", { name: `${APP}/cancel-on-late.stop` });
    await ctx.step.sleep("a while", "1s");
    return "went on";
  },
  stoppedBy("cancel-on-late", { timeout: "1s" }),
);

// A signal is one run's: the test says in the event which one.
const signal = (ctx, options = {}) =>
  ctx.step.waitForSignal("wait", { signal: ctx.event.data.signal, timeout: "1h", onConflict: "fail", ...options });

scenario("signal", 0, (ctx) => signal(ctx));

scenario("signal-replace", 0, (ctx) => signal(ctx, { onConflict: "replace" }));

scenario("signal-timeout", 0, async (ctx) => {
  await step(ctx, "before", () => 1);
  const found = await signal(ctx, { signal: `${APP}-never`, timeout: "1s" });
  return step(ctx, "after", () => ({ found }));
});

scenario("signal-sender", 0, async (ctx) => {
  await ctx.step.sendSignal("send", { signal: ctx.event.data.signal, data: { from: "a step" } });
  return "sent";
});

scenario("fetch", 0, async (ctx) => {
  const options = { method: "POST", body: "hello", headers: { "x-said": "yes" } };
  const answer = await ctx.step.fetch(`${OUTSIDE}/echo?a=1`, options);
  return { status: answer.status, body: await answer.json() };
});

scenario("fetch-status", 0, async (ctx) => {
  const answer = await ctx.step.fetch(`${OUTSIDE}/teapot`);
  return { status: answer.status, kind: answer.headers.get("x-kind"), body: await answer.text() };
});

scenario("fetch-failure", 0, async (ctx) => {
  try {
    await ctx.step.fetch("http://127.0.0.1:1/");
  } catch (error) {
    return error.name;
  }
});

const model = (ctx, place) => ctx.step.ai.models.openai({ model: "a-model", apiKey: "a-key", baseUrl: `${OUTSIDE}/${place}/` });

scenario("infer", 0, async (ctx) => {
  const body = { messages: [{ role: "user", content: "hi" }] };
  return (await ctx.step.ai.infer("ask", { model: model(ctx, "v1"), body })).choices;
});

scenario("infer-failure", 0, async (ctx) => {
  try {
    await ctx.step.ai.infer("ask", { model: model(ctx, "broken"), body: { messages: [] } });
  } catch (error) {
    return error.name;
  }
});

const onFailure = ({ event, runId }) => {
  note(event.data.run_id, `failure:${runId}`);
  return event.data;
};
scenario("on-failure", 1, (ctx) => step(ctx, "broken", () => fail(new Error("it is broken"))), { onFailure });

scenario(
  "observed",
  0,
  async (ctx) => {
    const { what } = ctx.event.data;
    if (what === "fail") throw new Error("it was asked to");
    if (what === "sleep") await ctx.step.sleep("hour", "1h");
    return { what };
  },
  stoppedBy("observed"),
);

// Functions that are told of the ends of `observed`.
for (const ending of ["finished", "failed", "cancelled"]) {
  const trigger = { event: `inngest/function.${ending}`, if: `event.data.function_id == '${APP}-observed'` };
  define({ id: `observer-${ending}`, retries: 0, triggers: trigger }, ({ event, runId }) => {
    note(event.data.run_id, `${ending}:${runId}`);
    return event.data;
  });
}

scenario("wait-end", 0, async (ctx) => {
  await ctx.step.sendEvent("start", { name: `${APP}/observed`, data: { what: "go", mark: ctx.runId } });
  const ended = await ctx.step.waitForEvent("end", {
    event: "inngest/function.finished",
    if: `async.data.event.data.mark == '${ctx.runId}'`,
    timeout: "1h",
  });
  return ended?.data.result ?? null;
});
