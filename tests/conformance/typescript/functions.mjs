// What the modules of the app share: how a function is registered and how a step notes that its code ran.
import { Inngest } from "inngest";

export const APP = process.env.CONFORMANCE_APP ?? "app";
// A server that steps may make requests to.
export const OUTSIDE = process.env.CONFORMANCE_OUTSIDE ?? "http://127.0.0.1:9";
const HOLD_MILLIS = 30_000;
// The SDK saves steps while it runs unless told not to; without that, each step is one call of the server.
const CHECKPOINTING = process.env.CONFORMANCE_CHECKPOINTING === "1" ? undefined : false;

export const client = new Inngest({ id: APP, checkpointing: CHECKPOINTING });
export const functions = [];
export const journal = new Map();

export const note = (run, what) => journal.set(run, [...(journal.get(run) ?? []), { what, at: Date.now() }]);
const count = (run, what) => (journal.get(run) ?? []).filter((line) => line.what === what).length;

export async function hold(run, what, times) {
  for (const end = Date.now() + HOLD_MILLIS; count(run, what) < times; ) {
    if (Date.now() > end) throw new Error(`${what} was noted ${count(run, what)} times, waited for ${times}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

// Registers a function for the event `<app>/<id>` that notes every time it is entered.
export const scenario = (id, retries, handler, options = {}) =>
  define({ id, retries, triggers: { event: `${APP}/${id}` }, ...options }, handler);

export function define(options, handler) {
  const enter = (ctx) => {
    note(ctx.runId, "enter");
    return handler(ctx);
  };
  const made = client.createFunction(options, enter);
  functions.push(made);
  return made;
}

// A step that notes that its code ran; with `holdEntries`, only once the function was entered that many times.
export const step = (ctx, id, result, holdEntries = 0) =>
  ctx.step.run(id, async () => {
    note(ctx.runId, `step:${id}:${ctx.attempt}`);
    if (holdEntries) await hold(ctx.runId, "enter", holdEntries);
    return result();
  });

export const fail = (error) => {
  throw error;
};
