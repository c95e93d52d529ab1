// A furnished house to test pages in: `crates/assay-server/examples/furnished`, one for each test file.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before } from "node:test";

import { violations } from "./accessibility.mjs";
import { browserForTests } from "./browser.mjs";

const PROGRAM = process.env.ASSAY_FURNISHED ?? "target/debug/examples/furnished";
const WIDE = { width: 1280, height: 900 };
export const NARROW = { width: 360, height: 740 };

/**
 * Starts a house before the tests of a file and ends it after them. Gives `house()`, what there is to know about it; `inHouse`,
 * which opens a page that fails the test on a dialog and on whatever the content security policy had to stop; and `look`, which
 * audits a page, keeps a screenshot and checks that it does not scroll sideways.
 */
export function houseForTests() {
  const shots = mkdtempSync(join(tmpdir(), "assay-pages-"));
  const withPage = browserForTests();
  let daemon;
  let told;

  before(async () => {
    daemon = spawn(PROGRAM, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: daemon.stdout });
    told = await new Promise((resolve, reject) => {
      lines.once("line", (line) => resolve(JSON.parse(line)));
      daemon.once("error", reject);
      daemon.once("exit", (code) => reject(new Error(`${PROGRAM} ended with ${code} before it told its address`)));
    });
  });

  after(async () => {
    daemon.stdin.end();
    await new Promise((resolve) => (daemon.exitCode === null ? daemon.once("exit", resolve) : resolve()));
    console.log(`screenshots: ${shots}`);
  });

  const inHouse = (options, use) =>
    withPage({ baseURL: told.address, viewport: WIDE, ...options }, async (page) => {
      const stopped = [];
      page.on("console", (message) => {
        if (/content security policy/i.test(message.text())) {
          stopped.push(message.text());
        }
      });
      page.on("dialog", (dialog) => {
        stopped.push(`a dialog: ${dialog.message()}`);
        dialog.dismiss();
      });
      await use(page);
      assert.deepEqual(stopped, []);
    });

  const look = async (page, name) => {
    await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
    assert.deepEqual(await violations(page), [], name);
    const surplus = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(surplus, 0, `${name} scrolls sideways`);
  };

  return { inHouse, look, house: () => told };
}

/** Signs somebody in; the page is then the list of assignments. */
export async function signIn(page, house, login = "ada", password = house.password) {
  await page.goto("/");
  await page.getByLabel("Name").fill(login);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Assignments", level: 1 }).waitFor();
}
