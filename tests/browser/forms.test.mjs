// Every form that changes something, sent by a person from its page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { houseForTests, signIn } from "./house.mjs";

const { inHouse, house } = houseForTests();

const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

test("a forge is connected, switched off and on", async () => {
  await inHouse({}, async (page) => {
    await signIn(page, house());
    await page.goto("/connections");
    await page.getByLabel("Forge", { exact: true }).selectOption({ label: "GitLab" });
    await page.getByLabel("Address").fill("https://gitlab.example.org");
    await page.getByLabel("API token").fill("a-token-for-the-api");
    await page.getByLabel("Repositories that may trigger").fill("not a name");
    await press(page, "Connect");
    await page.getByRole("alert").waitFor();
    await page.getByLabel("Address").fill("https://gitlab.example.org");
    await page.getByLabel("Repositories that may trigger").fill("hiring/task-*\nhiring/other");
    await press(page, "Connect");
    await page.getByRole("heading", { name: "Set this up at the forge" }).waitFor();
    assert.match(await page.locator(".once").innerText(), /.{40}/);
    await page.goto("/connections");
    assert.equal(await page.locator(".once").count(), 0, "the secret is shown once");
    const row = page.getByRole("row").filter({ hasText: "hiring/task-*" });
    await row.getByRole("button", { name: /Switch off/ }).click();
    await row.getByText("switched off").waitFor();
    await row.getByRole("button", { name: /Switch on/ }).click();
    await row.getByRole("button", { name: /Switch off/ }).waitFor();
  });
});

test("a report is shared, scored again and run again, and the new run is cancelled", async () => {
  await inHouse({}, async (page) => {
    await signIn(page, house());
    await page.goto(`/runs/${house().run}`);
    await press(page, "Share the report");
    const url = (await page.locator(".once").innerText()).trim();
    await inHouse({}, async (reader) => {
      await reader.goto(url);
      assert.doesNotMatch(reader.url(), /token/);
      await reader.getByRole("heading", { name: /Score/ }).first().waitFor();
      const answer = await reader.goto(`/runs/${house().run}`);
      assert.match(answer.url(), /sign-in/);
    });
    await page.goto(`/runs/${house().run}`);
    await press(page, "Score again");
    // Nothing of the evidence is in this house.
    await page.getByText("It cannot be scored again").waitFor();
    // Of an assignment where nothing else goes on.
    await page.goto("/assignments/task00000001");
    await page.getByRole("link", { name: "1", exact: true }).or(page.getByRole("link", { name: /Run 1/ })).first().click();
    await press(page, "Run again");
    await page.getByRole("heading", { name: /run 2/ }).waitFor();
    await press(page, "Cancel");
    await page.getByRole("heading", { name: "Cancelled" }).waitFor();
  });
});

test("an assignment is closed, opened again and erased", async () => {
  await inHouse({}, async (page) => {
    await signIn(page, house());
    await page.goto("/assignments/task00000006");
    await press(page, "Set the attempts");
    await press(page, "Close");
    await press(page, "Open again");
    await press(page, "New page link");
    assert.match(await page.locator("main").innerText(), /\/my\/task00000006\/open\?token=/);
    await page.goto("/assignments/task00000006");
    await page.getByRole("link", { name: "Erase the candidate…" }).click();
    const word = await page.locator("label[for=word] strong").innerText();
    await page.getByLabel(/to go on/).fill("something else");
    await page.getByRole("button", { name: /Erase/ }).click();
    await page.locator("#word-wrong").waitFor();
    await page.getByLabel(/to go on/).fill(word);
    await page.getByRole("button", { name: /Erase/ }).click();
    await page.waitForURL(/assignments\/task00000006$/);
    assert.doesNotMatch(await page.content(), /Radia Perlman/);
    assert.equal(await page.getByRole("button", { name: "Set the due date" }).count(), 0);
  });
});

test("an invitation is made and archived", async () => {
  await inHouse({}, async (page) => {
    await signIn(page, house(), "ivo");
    await page.goto("/invite");
    await page.getByLabel("Candidate").fill("Katherine Johnson");
    await press(page, "Invite");
    await page.getByRole("link", { name: "To the assignment" }).click();
    await press(page, "New clone token");
    assert.match(await page.locator("main").innerText(), /assay_git_[0-9a-z]{52}/);
    await page.getByRole("link", { name: "To the assignment" }).or(page.getByRole("link", { name: /Katherine/ })).first().click();
    await page.getByRole("link", { name: "Archive…" }).click();
    await page.getByLabel(/to go on/).fill(await page.locator("label[for=word] strong").innerText());
    await page.getByRole("button", { name: /Archive/ }).click();
    await page.waitForURL(/assignments\/[0-9a-z]+$/);
    assert.equal(await page.getByRole("link", { name: "Archive…" }).count(), 0);
    assert.equal(await page.getByRole("link", { name: "Erase the candidate…" }).count(), 0, "that is an administrator's");
  });
});

test("an account is made, given a role, used, and switched off", async () => {
  await inHouse({}, async (page) => {
    await signIn(page, house());
    await page.goto("/accounts");
    await page.getByLabel("Name at sign-in").fill("nina");
    await page.getByLabel("Name for people").fill("Nina");
    await press(page, "Make the account");
    const password = (await page.locator(".once").innerText()).trim();
    await page.goto("/accounts");
    await page.getByLabel("Role of Nina").selectOption("admin");
    await page.getByRole("row").filter({ hasText: "Nina" }).getByRole("button", { name: "Set" }).click();
    await inHouse({}, async (hers) => {
      await signIn(hers, house(), "nina", password);
      await hers.goto("/audit");
      await hers.getByRole("heading", { name: "Audit", exact: false }).first().waitFor();
      await hers.goto("/tokens");
      await hers.getByLabel("Where it is used").fill("laptop");
      await press(hers, "Make the token");
      const token = (await hers.locator(".once").innerText()).trim();
      const me = () => hers.request.get("/api/v1/me", { headers: { authorization: `Bearer ${token}`, cookie: "" } });
      assert.equal((await me()).status(), 200);
      await hers.goto("/tokens");
      await hers.getByRole("row").filter({ hasText: "laptop" }).getByRole("button", { name: /Revoke/ }).click();
      await hers.getByText("revoked").waitFor();
      assert.equal((await me()).status(), 401);
      await hers.getByLabel("Password now").fill(password);
      await hers.getByLabel("New password").fill("another long password");
      await press(hers, "Change it");
      await hers.waitForURL(/sign-in/);
      await signIn(hers, house(), "nina", "another long password");

      await page.getByRole("row").filter({ hasText: "Nina" }).getByRole("button", { name: /Switch off/ }).click();
      await page.getByRole("row").filter({ hasText: "Nina" }).getByText("switched off").waitFor();
      await hers.goto("/");
      assert.match(hers.url(), /sign-in/);
    });
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL(/sign-in/);
  });
});
