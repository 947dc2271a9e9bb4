// A real browser, headless, without a network but the server under test; and what stories need to say.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-lcd-text",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
export const PATIENCE_MS = 20_000;

export class Failed extends Error {}

export const check = (holds, words) => {
  if (!holds) throw new Failed(words);
};

/** Poll until `question` gives something truthy; the bound is the story's patience. */
export const eventually = async (question, words, patience = PATIENCE_MS) => {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > end) throw new Failed(`not within ${patience / 1000} s: ${words}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

/** Run `story` on a fresh profile. Foreign requests, page errors and violations of the page's policy fail it. */
export const inBrowser = async (base, options, story) => {
  const folder = mkdtempSync(join(tmpdir(), "penstock-browser-"));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.PENSTOCK_CHROMIUM,
    headless: true,
    args: FLAGS,
    viewport: { width: 1360, height: 850 },
    reducedMotion: "reduce",
    ...options,
  });
  const wrong = [];
  context.on("request", (request) => {
    if (!request.url().startsWith(base) && !/^(data|about|blob):/.test(request.url())) wrong.push(`asked ${request.url()}`);
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("pageerror", (error) => wrong.push(`page error: ${error.message}`));
  page.on("console", (message) => {
    if (/Content.Security.Policy/i.test(message.text())) wrong.push(message.text());
  });
  page.on("dialog", (dialog) => (dialog.type() === "confirm" ? dialog.accept() : wrong.push(`dialog: ${dialog.message()}`)));
  try {
    await story(page, context);
    check(wrong.length === 0, wrong.join("\n"));
  } catch (error) {
    const at = page.url();
    const seen = await page.locator("main").innerText({ timeout: 2000 }).catch(() => "no page");
    throw new Failed(`${error.message}\nat ${at}\n${seen.slice(0, 3000)}`);
  } finally {
    await context.close();
    rmSync(folder, { recursive: true, force: true });
  }
};
