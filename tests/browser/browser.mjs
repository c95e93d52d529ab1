// A browser for tests: the machine's own Chromium, one per test file, and pages as tests want them.

import { execFileSync } from "node:child_process";
import { after, before } from "node:test";

import { chromium } from "playwright-core";

/** How long one action in a page may take, in milliseconds. */
const ACTION_MS = 10_000;

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

function installed() {
  for (const name of NAMES) {
    try {
      return execFileSync("which", [name], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    } catch {
      // The next name may be there.
    }
  }
  throw new Error(`there is none of ${NAMES.join(", ")} (hint: ci/browser installs chromium on Debian)`);
}

/**
 * Starts a browser before the tests of a file and ends it after them. The function it gives opens a page in a context of
 * its own (no cookies of other tests), under options of Playwright's `newContext`, calls `use` with it, and closes it.
 * A page in which a script failed fails the test.
 */
export function browserForTests() {
  let browser;
  before(async () => {
    browser = await chromium.launch({ executablePath: installed(), args: ["--no-sandbox", "--disable-gpu"] });
  });
  after(async () => {
    await browser?.close();
  });
  return async (options, use) => {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(ACTION_MS);
    const failures = [];
    context.on("weberror", (failure) => failures.push(failure.error()));
    try {
      await use(await context.newPage());
    } finally {
      await context.close();
    }
    if (failures.length > 0) {
      throw failures[0];
    }
  };
}
