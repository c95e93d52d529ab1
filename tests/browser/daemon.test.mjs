// The daemon's pages in a real browser: from signing in to the candidate's own page, light and dark, wide and narrow.
//
// The house is `crates/assay-server/examples/furnished.rs`: accounts, assignments in every state, hostile names, one run that
// goes on while the test looks. Nothing may break the content security policy, and axe-core finds nothing.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";

import { violations } from "./accessibility.mjs";
import { browserForTests } from "./browser.mjs";

const PROGRAM = process.env.ASSAY_FURNISHED ?? "target/debug/examples/furnished";
const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 360, height: 740 };

const shots = mkdtempSync(join(tmpdir(), "assay-pages-"));
const withPage = browserForTests();

let daemon;
let house;

before(async () => {
  daemon = spawn(PROGRAM, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: daemon.stdout });
  house = await new Promise((resolve, reject) => {
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

/** Opens a page that fails the test on a dialog, and on whatever the content security policy had to stop. */
function inHouse(options, use) {
  return withPage({ baseURL: house.address, viewport: WIDE, ...options }, async (page) => {
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
}

async function signIn(page, login = "ada") {
  await page.goto("/");
  await page.getByLabel("Name").fill(login);
  await page.getByLabel("Password").fill(house.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Assignments", level: 1 }).waitFor();
}

/** Audits the page, keeps a screenshot, and checks that it does not scroll sideways. */
async function look(page, name) {
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
  assert.deepEqual(await violations(page), [], name);
  const surplus = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(surplus, 0, `${name} scrolls sideways`);
}

test("an interviewer signs in, invites, and gets secrets once", async () => {
  await inHouse({}, async (page) => {
    await page.goto("/runs/nowhere");
    await look(page, "sign-in");
    await page.getByLabel("Name").fill("ivo");
    await page.getByLabel("Password").fill("not the password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByLabel("Password").fill(house.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    // Where they wanted to go first, and there is nothing.
    await page.getByRole("heading", { name: "Nothing here" }).waitFor();
    await look(page, "not-found");

    await page.goto("/invite");
    await page.getByLabel("Candidate").fill("<b>Ada</b> \u202eLovelace");
    await page.getByLabel("Attempts").fill("3");
    await look(page, "invite");
    await page.getByRole("button", { name: "Invite" }).click();
    await page.getByRole("heading", { name: /For <b>Ada<\/b>/ }).waitFor();
    assert.match(await page.locator("main").innerText(), /assay_git_[0-9a-z]{52}/);
    await look(page, "invited");
    const link = await page.getByText(/\/my\/.*\/open\?token=/).first().innerText();
    await page.getByRole("link", { name: "To the assignment" }).click();
    await page.getByText("0 of 3 used").waitFor();
    assert.doesNotMatch(await page.content(), /assay_git_[0-9a-z]{52}/);

    await page.goto(link.trim());
    assert.doesNotMatch(page.url(), /token/);
    await page.getByText("uses attempt 1 of 3").waitFor();
  });
});

test("a run shows itself live and turns into its result without reloading", async () => {
  await inHouse({}, async (page) => {
    await signIn(page);
    await page.goto(`/runs/${house.live}`);
    const main = page.locator("#live");
    await main.getByText("A worker took it").waitFor();
    await look(page, "run-live");
    await page.evaluate(() => {
      window.isStillThisPage = true;
    });
    await page.getByRole("link", { name: "Open the report" }).waitFor({ timeout: 60_000 });
    assert.equal(await page.evaluate(() => window.isStillThisPage), true);
    await look(page, "run");
    await page.getByRole("link", { name: "Open the report" }).click();
    await page.getByRole("heading", { name: /Score/ }).first().waitFor();
    await page.screenshot({ path: join(shots, "report.png"), fullPage: true });
  });
});

test("pages work without script", async () => {
  await inHouse({ javaScriptEnabled: false }, async (page) => {
    await signIn(page);
    await page.getByLabel("Compare Barbara Liskov").check();
    await page.getByLabel("Compare Ken Thompson").check();
    await page.getByRole("button", { name: "Compare side by side" }).click();
    await page.getByRole("heading", { name: "Side by side" }).waitFor();
    await page.goto(`/assignments/${house.assignment}`);
    await page.getByLabel("Due (UTC)").fill("2031-01-02T03:04");
    await page.getByRole("button", { name: "Set the due date" }).click();
    await page.getByText("2031-01-02 03:04 UTC").waitFor();
    await page.getByRole("button", { name: "Hide names" }).click();
    await page.getByRole("heading", { name: "Candidate 0003" }).waitFor();
    assert.doesNotMatch(await page.content(), /Liskov/);
  });
});

test("a candidate sees their own pages and nothing hidden", async () => {
  await inHouse({}, async (page) => {
    await page.goto(house.page);
    await page.getByRole("heading", { name: "Task Sync" }).waitFor();
    await look(page, "my");
    await page.getByRole("link", { name: "Run 2" }).click();
    await page.getByRole("heading", { name: "Where points come from" }).waitFor();
    await look(page, "my-run");
    await page.goto(`/my/${house.assignment}/runs/1`);
    await page.getByText("Points are for the interviewers here").waitFor();
    assert.doesNotMatch(await page.locator("main").innerText(), /smoke/);
    const other = await page.goto(`/runs/${house.run}`);
    assert.match(other.url(), /sign-in/);
  });
});

for (const [theme, options] of Object.entries({
  light: {},
  dark: { colorScheme: "dark" },
  narrow: { viewport: NARROW },
})) {
  test(`all pages are accessible: ${theme}`, async () => {
    await inHouse(options, async (page) => {
      await signIn(page);
      for (const [name, path] of Object.entries({
        dashboard: "/",
        invite: "/invite",
        compare: "/compare?a=task00000003&a=task00000007&a=task00000002&a=task00000001",
        assignment: `/assignments/${house.assignment}`,
        erase: `/assignments/${house.assignment}/erase`,
        run: `/runs/${house.run}`,
        accounts: "/accounts",
        connections: "/connections",
        tokens: "/tokens",
        audit: "/audit",
        mine: house.page,
        "my-run": `/my/${house.assignment}/runs/2`,
      })) {
        await page.goto(path);
        await look(page, `${name}-${theme}`);
      }
    });
  });
}
