// The report as a person meets it: in both colour schemes, on a small screen, without a network.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { violations } from "./accessibility.mjs";
import { browserForTests } from "./browser.mjs";

const ROOT = join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../..");
const SAMPLE = join(ROOT, "crates/assay-report/tests/data/sample.json");
const PROGRAM = process.env.ASSAY_PROGRAM ?? join(ROOT, "target/debug/assay");

const openPage = browserForTests();
let folder;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "assay-report-"));
  execFileSync(PROGRAM, ["report", SAMPLE, "--format", "html", "--out", folder]);
});
after(() => rmSync(folder, { recursive: true }));

async function openReport(options, use) {
  await openPage({ ...options, offline: true }, async (page) => {
    await page.goto(pathToFileURL(join(folder, "report.html")).href);
    await use(page);
  });
}

for (const colorScheme of ["light", "dark"]) {
  test(`the report keeps nobody out: ${colorScheme}`, async () => {
    await openReport({ colorScheme }, async (page) => {
      // What is folded away is for everybody, too.
      await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
      assert.deepEqual(await violations(page), []);
    });
  });
}

test("the report fits a telephone", async () => {
  await openReport({ viewport: { width: 360, height: 740 } }, async (page) => {
    const excess = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(excess <= 0, `the page is ${excess} px wider than its screen`);
  });
});

test("the audit sees what is wrong", async () => {
  await openPage({}, async (page) => {
    await page.setContent("<!doctype html><html lang='en'><title>T</title><main><h1>T</h1><img src='data:,'></main></html>");
    assert.match((await violations(page)).join(), /^image-alt: [^:]*: <img/);
  });
});
