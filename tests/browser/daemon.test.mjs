// The daemon's pages in a real browser: from signing in to the candidate's own page, light and dark, wide and narrow.
//
// The house is `crates/assay-server/examples/furnished`: accounts, assignments in every state, hostile names, one run that
// goes on while the test looks. Nothing may break the content security policy, and axe-core finds nothing.

import assert from "node:assert/strict";
import { test } from "node:test";

import { NARROW, houseForTests, signIn } from "./house.mjs";

const { inHouse, look, house } = houseForTests();

test("an interviewer signs in, invites, and gets secrets once", async () => {
  await inHouse({}, async (page) => {
    await page.goto("/runs/nowhere");
    await look(page, "sign-in");
    await page.getByLabel("Name").fill("ivo");
    await page.getByLabel("Password").fill("not the password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByLabel("Password").fill(house().password);
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
    await signIn(page, house());
    await page.goto(`/runs/${house().live}`);
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
      });
});

test("pages work without script", async () => {
  await inHouse({ javaScriptEnabled: false }, async (page) => {
    await signIn(page, house());
    await page.getByLabel("Compare Barbara Liskov").check();
    await page.getByLabel("Compare Ken Thompson").check();
    await page.getByRole("button", { name: "Compare side by side" }).click();
    await page.getByRole("heading", { name: "Side by side" }).waitFor();
    await page.goto(`/assignments/${house().assignment}`);
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
    await page.goto(house().page);
    await page.getByRole("heading", { name: "Task Sync" }).waitFor();
    await look(page, "my");
    await page.getByRole("link", { name: "Run 2" }).click();
    await page.getByRole("heading", { name: "Where points come from" }).waitFor();
    await look(page, "my-run");
    await page.goto(`/my/${house().assignment}/runs/1`);
    await page.getByText("Points are for the interviewers here").waitFor();
    assert.doesNotMatch(await page.locator("main").innerText(), /smoke/);
    const other = await page.goto(`/runs/${house().run}`);
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
      await signIn(page, house());
      for (const [name, path] of Object.entries({
        dashboard: "/",
        invite: "/invite",
        compare: "/compare?a=task00000003&a=task00000007&a=task00000002&a=task00000001",
        assignment: `/assignments/${house().assignment}`,
        erase: `/assignments/${house().assignment}/erase`,
        run: `/runs/${house().run}`,
        accounts: "/accounts",
        connections: "/connections",
        tokens: "/tokens",
        audit: "/audit",
        mine: house().page,
        "my-run": `/my/${house().assignment}/runs/2`,
      })) {
        await page.goto(path);
        await look(page, `${name}-${theme}`);
      }
    });
  });
}
