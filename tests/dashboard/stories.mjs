// What people do with the dashboard, one story each: `node stories.mjs <story> <server> <folder for pictures>`.

import { join } from "node:path";
import { check, eventually, inBrowser, PATIENCE_MS } from "./browser.mjs";

const [, , wanted, base, pictures] = process.argv;

const ULID = /[0-7][0-9A-HJKMNP-TV-Z]{25}/;

const send = async (name, data, more = {}) => {
  const response = await fetch(`${base}/e/test`, { method: "POST", body: JSON.stringify({ name, data, ...more }) });
  const answer = await response.json();
  check(response.status === 200, `the event was refused: ${JSON.stringify(answer)}`);
  return answer.ids[0];
};

const api = async (path) => (await (await fetch(base + path)).json()).data;

const runOf = async (event, status) =>
  eventually(async () => {
    const runs = await api(`/v1/events/${event}/runs`);
    return runs?.find((run) => !status || run.status === status);
  }, `a ${status ?? ""} run of event ${event}`);

const go = (page, path) => page.goto(base + path, { waitUntil: "load" });

const picture = async (page, name) => {
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`) });
};

const text = (page, selector = "main") => page.locator(selector).innerText();

const stories = {
  "runs are listed, filtered and paged": async (page) => {
    const events = [];
    for (let number = 1; number <= 3; number += 1) events.push(await send("shop/order.placed", { number, total: 20 * number }));
    const failed = await runOf(await send("shop/refused", { number: 9 }), "Failed");
    for (const event of events) await runOf(event, "Completed");
    await go(page, "/runs");
    await page.locator(`#r-${failed.run_id}`).waitFor();
    await picture(page, "runs");
    await page.locator("#statuses a", { hasText: "Failed" }).click();
    await page.waitForURL(/status=Failed/);
    check((await page.locator("#list .chip").allInnerTexts()).every((status) => status.includes("Failed")), "only failed runs");
    await go(page, "/runs?q=" + encodeURIComponent("event.data.total == 40"));
    check(await page.locator(".search .tag").innerText() === "CEL", "an expression is evaluated as one");
    await page.locator("#list tbody tr").first().waitFor();
    check((await text(page, "#list")).includes("L-2"), "the order with the total of 40");
    await go(page, "/runs?q=" + encodeURIComponent("event.data.total =="));
    check((await text(page)).includes("400"), "an expression that does not compile is told with its error");
  },

  "a new run appears by itself, and shows how it goes on": async (page) => {
    await go(page, "/runs?function=shop%2Fshop-fulfil-order");
    await eventually(async () => (await page.locator("#pulse").getAttribute("data-state")) === "on", "the page follows");
    const event = await send("shop/order.placed", { number: 77, total: 770 });
    const run = await runOf(event);
    const row = page.locator(`#r-${run.run_id}`);
    await row.waitFor();
    await row.locator("a.main").click();
    await page.locator("#timeline").waitFor();
    await page.locator("#run-head .chip", { hasText: "Completed" }).waitFor();
    const lines = await text(page, "#timeline");
    for (const step of ["reserve stock", "charge card", "wait for the courier", "print label"]) check(lines.includes(step), `${step} in ${lines}`);
    check((await page.locator("#timeline .k-failed").count()) >= 1, "the attempt that failed is drawn");
    check((await page.locator("#timeline .k-sleep").count()) === 1, "the sleep is drawn");
    await picture(page, "run");
    await page.locator("#timeline summary", { hasText: "charge card" }).click();
    check((await text(page, "#timeline")).includes("the card network is busy"), "the failed attempt's error");
    check((await text(page, "#output")).includes("L-77"), "the output");
  },

  "open details and scroll stay while the page changes": async (page) => {
    const event = await send("shop/asked", { number: 5 });
    const run = await runOf(event);
    await go(page, `/runs/${run.run_id}`);
    const line = page.locator("#timeline details", { hasText: "ask" }).first();
    await line.locator("summary").click();
    await line.locator("summary").focus();
    await fetch(`${base}/v1/runs/${run.run_id}`, { method: "DELETE" });
    await page.locator("#run-head .chip", { hasText: "Cancelled" }).waitFor();
    check(await line.evaluate((element) => element.open), "the opened step is still open");
    check(await line.locator("summary").evaluate((element) => element === document.activeElement), "the focus is where it was");
  },

  "a failed run shows its error, and is run again, whole and from a step": async (page) => {
    const run = await runOf(await send("shop/refused", { number: 31 }), "Failed");
    await go(page, `/runs/${run.run_id}`);
    check((await text(page, "#output")).includes("no such customer <b>here</b>"), "the error, with its markup as text");
    await page.locator("#run-head button", { hasText: "Rerun" }).click();
    await page.waitForURL((url) => url.pathname.startsWith("/runs/") && !url.pathname.endsWith(run.run_id));
    await page.locator("#facts", { hasText: run.run_id }).waitFor();
    await page.locator("#run-head .chip", { hasText: "Failed" }).waitFor();
    const again = ULID.exec(page.url())[0];
    await go(page, `/runs/${run.run_id}`);
    await page.locator("#relatives", { hasText: again }).waitFor();
    const step = page.locator("#timeline details", { hasText: "weigh" });
    await step.locator("summary").click();
    await step.locator("button", { hasText: "Rerun from here" }).click();
    await page.waitForURL((url) => url.pathname.startsWith("/runs/") && !url.pathname.endsWith(run.run_id));
    await page.locator("#run-head .chip", { hasText: "Failed" }).waitFor();
    const repeated = ULID.exec(page.url())[0];
    check((await api(`/v1/runs/${repeated}`)).rerun_of === run.run_id, "the rerun says whose rerun it is");
    const lookedUp = async (id) => JSON.stringify((await api(`/v1/runs/${id}/steps`)).find((each) => each.name === "look up").output);
    check((await lookedUp(repeated)) === (await lookedUp(run.run_id)), "what came before the step is remembered");
    check((await lookedUp(again)) !== (await lookedUp(run.run_id)), "a whole rerun does all of it again");
  },

  "a run is cancelled": async (page) => {
    const run = await runOf(await send("shop/asked", { number: 6 }), "Running");
    await go(page, `/runs/${run.run_id}`);
    await page.locator("#timeline", { hasText: "think it over" }).waitFor();
    await page.locator("#run-head button", { hasText: "Cancel" }).click();
    await page.locator("#run-head .chip", { hasText: "Cancelled" }).waitFor();
    check((await text(page)).includes("The run was cancelled."), "a word about it");
  },

  "many runs are cancelled and rerun by a filter, counted first": async (page) => {
    const user = `bulk-${Date.now()}`;
    for (let number = 0; number < 4; number += 1) await runOf(await send("shop/asked", { number }, { user: { external_id: user } }), "Running");
    await go(page, `/runs?user=${user}&function=shop%2Fshop-patient`);
    await page.locator(".actions a", { hasText: "Cancel matching" }).click();
    check((await text(page, "#count")) === "4", "four would be cancelled");
    await picture(page, "bulk");
    await page.locator("#bulk button").click();
    await page.locator("#done", { hasText: "4" }).waitFor();
    await eventually(async () => {
      await go(page, `/runs?user=${user}&status=Cancelled`);
      return (await page.locator("#list tbody tr").count()) === 4;
    }, "four cancelled runs");
    await page.locator(".actions a", { hasText: "Rerun matching" }).click();
    await page.locator("#bulk button").click();
    await page.locator("#done", { hasText: "4" }).waitFor();
    await eventually(async () => {
      await go(page, `/runs?user=${user}&status=Running`);
      return (await page.locator("#list tbody tr").count()) === 4;
    }, "four reruns");
  },

  "an event is sent, and tells what it did and why it did nothing else": async (page) => {
    await go(page, "/events");
    await page.locator("a", { hasText: "Send event" }).click();
    await page.locator("textarea").fill("{ this is no JSON");
    await page.locator("main button", { hasText: "Send" }).click();
    await page.locator("[role=alert]", { hasText: "not JSON" }).waitFor();
    await picture(page, "send");
    await page.locator("textarea").fill(JSON.stringify({ name: "shop/order.placed", data: { number: 8, total: 5 } }));
    await page.locator("textarea").press("Control+Enter");
    await page.waitForURL(/\/events\/[0-9A-Z]{26}/);
    const why = page.locator("#why");
    await why.waitFor();
    check((await text(page, "#why")).includes("condition does not hold"), "the condition is the reason");
    check((await why.locator(".no", { hasText: "event.data.total > 10" }).count()) === 1, "the part that is false");
    check((await why.locator(".yes", { hasText: "event.data.number > 0" }).count()) === 1, "the part that is true");
    check((await text(page, "#why")).includes("It is triggered by shop/refused"), "other functions have other names");
    await picture(page, "event");
    const event = await send("shop/order.placed", { number: 9, total: 50 });
    const run = await runOf(event);
    await go(page, `/events/${event}`);
    await page.locator(`#effects #started-${run.run_id}`).waitFor();
    await page.locator("#why .v-started").waitFor();
  },

  "whatever users wrote is text": async (page) => {
    const name = "<script>window.broken = 1</script>";
    const event = await send(name, { "</pre><img src=x onerror=window.broken=1>": "<b>\"'&" });
    await eventually(async () => {
      await go(page, `/events/${event}`);
      return (await page.locator(".event-name").count()) === 1;
    }, "the event's page");
    check((await text(page, ".event-name")) === name, "the name as it was written");
    check((await text(page)).includes("onerror=window.broken=1"), "the data as it was written");
    await go(page, "/events");
    await page.locator(`#e-${event}`).waitFor();
    await go(page, `/runs?q=${encodeURIComponent('"><script>window.broken = 1</script>')}`);
    check((await page.evaluate(() => window.broken)) === undefined, "nothing ran");
  },

  "a payload of megabytes is cut, and the whole is a link away": async (page) => {
    const rows = Array.from({ length: 20_000 }, (_, number) => ({ number, filler: "x".repeat(60) }));
    const event = await send("big/one", { rows, last: "the very end" });
    await eventually(async () => {
      await go(page, `/events/${event}`);
      return (await page.locator(".cut").count()) > 0;
    }, "the event's page");
    check(!(await text(page)).includes("the very end"), "the page holds the beginning");
    const whole = await page.locator(".cut a").getAttribute("href");
    const response = await fetch(base + whole);
    check((await response.text()).includes("the very end"), "the link holds all of it");
    check(response.headers.get("content-type").startsWith("text/plain"), "as text");
  },

  "functions show triggers, limits, versions and plots": async (page) => {
    await runOf(await send("shop/order.placed", { number: 1, total: 99 }), "Completed");
    await go(page, "/functions");
    await page.locator("#list", { hasText: "Fulfil order" }).waitFor();
    await picture(page, "functions");
    await page.locator("a.main", { hasText: "Fulfil order" }).click();
    await page.locator("#plots svg").first().waitFor();
    const page_ = await text(page);
    check(page_.includes("shop/order.placed") && page_.includes("event.data.total > 10"), "the trigger with its condition");
    check((await page.locator("#plots rect").count()) >= 1, "bars");
    await picture(page, "function");
    await page.locator("nav.segments a", { hasText: "15m" }).click();
    await page.waitForURL(/period=15m/);
  },

  "apps show their sync, and are synced again": async (page) => {
    await go(page, "/apps");
    await page.locator("#a-shop", { hasText: "In sync" }).waitFor();
    await page.locator("#a-shop button", { hasText: "Resync" }).click();
    await page.locator(".note", { hasText: "shop was synced." }).waitFor();
    await picture(page, "apps");
  },

  "streams show lag, partitions and owners": async (page) => {
    await go(page, "/streams");
    const groups = await text(page, "#streams");
    check(/matcher/.test(groups) && /executor/.test(groups), "both groups");
    check(/events/.test(groups) && /run-state/.test(groups), "the topics");
    check((await page.locator("#streams .group td.id", { hasText: /127\.0\.0\.1:\d+/ }).count()) >= 1, "an executor by its address");
    await picture(page, "streams");
  },

  "waits show what runs wait for": async (page) => {
    const run = await runOf(await send("shop/asked", { number: 12 }), "Running");
    await eventually(async () => {
      await go(page, "/waits?kind=sleep");
      return (await text(page, "#list")).includes(run.run_id);
    }, "the sleeping run");
    check((await text(page, "#list")).includes("think it over"), "the step");
    await picture(page, "waits");
  },

  "a dead letter is inspected, repaired and sent again": async (page) => {
    const reason = process.env.DEAD_LETTER_TEXT;
    await eventually(async () => {
      await go(page, "/dead-letters");
      return (await page.locator("#list tbody tr").count()) > 0;
    }, "the dead letter");
    await page.locator("#list a.main").first().click();
    check((await page.locator("textarea").inputValue()) === reason, "the value as it lay");
    await picture(page, "dead-letter");
    await page.locator("textarea").fill(JSON.stringify({ name: "other/repaired", data: { repaired: true } }));
    await page.locator("button", { hasText: "Send repaired" }).click();
    await page.locator(".note", { hasText: "again" }).waitFor();
    await eventually(async () => {
      const runs = await api("/v1/runs?function=shop/shop-wildcard");
      return runs.some((run) => run.output?.repaired);
    }, "a run of the repaired event");
  },

  "a replay is counted, started and finished": async (page) => {
    for (let number = 0; number < 5; number += 1) await send("past/thing", { number });
    await go(page, "/functions/shop%2Fshop-wildcard");
    await page.locator(".actions a", { hasText: "Replay events" }).click();
    await page.locator("input[name=event]").fill("past/thing");
    await page.locator("input[name=ignore_triggers]").check();
    await page.locator("button", { hasText: "Count first" }).click();
    await page.waitForURL(/\/replays\/[0-9A-Z]{26}/);
    await page.locator("#replay-head .chip", { hasText: "Completed" }).waitFor({ timeout: 2 * PATIENCE_MS });
    check((await text(page, "#matched")) === "5", "five events match");
    await page.locator("button", { hasText: "Start 5 runs" }).click();
    await page.locator("#started", { hasText: "5" }).waitFor({ timeout: 2 * PATIENCE_MS });
    await picture(page, "replay");
    await go(page, "/replays");
    check((await page.locator("#list tbody tr").count()) >= 2, "both are listed");
  },

  "a keyboard is enough": async (page) => {
    await runOf(await send("shop/order.placed", { number: 2, total: 30 }));
    await go(page, "/events");
    await page.keyboard.press("?");
    await page.locator("#help[open]").waitFor();
    await picture(page, "keys");
    await page.keyboard.press("Escape");
    await page.keyboard.press("g");
    await page.keyboard.press("r");
    await page.waitForURL(/\/runs$/);
    await page.keyboard.press("/");
    check(await page.locator("[data-search]").evaluate((element) => element === document.activeElement), "`/` is in the search field");
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    const selected = await page.locator("[data-selected] a.main").innerText();
    check(selected === (await page.locator("#list a.main").first().innerText()), "j, j, k: the first");
    await page.keyboard.press("Enter");
    await page.waitForURL(new RegExp(selected));
    await page.keyboard.press("Tab");
    const outlined = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    check(outlined !== "none", "the focus is seen");
  },

  "light and dark are chosen, and remembered": async (page) => {
    await go(page, "/runs");
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.locator(".theme button[value=dark]").click();
    await page.locator("html[data-theme=dark]").waitFor();
    check((await ground()) !== light, "another ground");
    await go(page, "/functions");
    check((await page.locator("html").getAttribute("data-theme")) === "dark", "still dark on another page");
    await go(page, "/runs");
    await page.locator("#list tbody tr").first().waitFor();
    await picture(page, "runs-dark");
  },

  "a narrow screen shows everything": async (page) => {
    await page.setViewportSize({ width: 390, height: 800 });
    await go(page, "/runs");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(wide <= 1, `the page is ${wide} pixels too wide`);
    await picture(page, "narrow");
  },

  "an unknown id is not found, with a hint": async (page) => {
    const response = await go(page, "/runs/01J00000000000000000000000");
    check(response.status() === 404, `status ${response.status()}`);
    check((await text(page)).includes("no run has the id"), "the hint");
    check((await go(page, "/runs/nonsense")).status() === 400, "what is no id is refused");
  },
};

if (wanted === "--list") {
  for (const name of Object.keys(stories)) console.log(name);
} else {
  try {
    await inBrowser(base, {}, stories[wanted]);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
