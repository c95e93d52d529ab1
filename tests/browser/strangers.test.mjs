// What strangers write stays text: every page that shows something of theirs, with texts that would do harm in the place of all
// that can be any text (`crates/assay-server/examples/furnished/hostile.rs`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { houseForTests, signIn } from "./house.mjs";

const { inHouse, look, house } = houseForTests();
const TEXT = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";

/** What of a page could run, or lead somewhere that does; and how often the texts are seen. */
function dangers() {
  const found = [];
  for (const element of document.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      const leads = ["href", "src", "action", "formaction", "xlink:href", "data"].includes(name);
      if (name.startsWith("on") || (leads && /^\s*(javascript|vbscript|data:text)/i.test(value))) {
        found.push(element.outerHTML.slice(0, 200));
      }
    }
  }
  for (const script of document.querySelectorAll("script:not([src]), img[src=x], base, iframe, object, embed")) {
    found.push(script.outerHTML.slice(0, 200));
  }
  const shown = document.documentElement.outerHTML.match(/alert\(\d\)/g) ?? [];
  return { found, shown: shown.length };
}

test("the texts of strangers are shown and never run", async () => {
  await inHouse({}, async (page) => {
    const visit = async (path, atLeast = 1) => {
      await page.goto(path);
      const { found, shown } = await page.evaluate(dangers);
      assert.deepEqual(found, [], path);
      assert.ok(shown >= atLeast, `${path} shows ${shown} of the texts`);
      return shown;
    };
    const text = encodeURIComponent(TEXT);
    await visit(`/sign-in?next=/${text}`, 0);
    await signIn(page, house());
    let n = 0;
    for (const run of house().strangers) {
      n += await visit(`/runs/${run}`, 3);
      if (run.includes("scored")) {
        n += await visit(`/runs/${run}/report`, 50);
        n += await visit(`/api/v1/runs/${run}/report.html`, 50);
      }
    }
    for (const path of [
      "/",
      `/?text=${text}`,
      "/assignments/task00000020",
      "/assignments/task00000021",
      "/assignments/task00000020/erase",
      "/compare?a=task00000020&a=task00000021",
      "/accounts",
      "/connections",
      "/tokens",
      "/audit",
      "/audit?subject=task00000020",
    ]) {
      n += await visit(path);
    }
    await visit(`/nowhere/${text}?${text}#${text}`, 0);
    await visit(`/?sort=${text}`, 0);
    await visit(`/audit?subject=${text}`, 0);
    for (const n of [0, 1]) {
      const assignment = `task0000002${n}`;
      await visit(`/my/${assignment}/open?token=page-secret-of-a-stranger-${n}`, 0);
      for (const number of [1, 2, 3]) {
        await visit(`/my/${assignment}/runs/${number}`, 0);
      }
    }
    console.log(`${n} texts were shown`);
  });
});

test("a form gives back what was typed as text", async () => {
  await inHouse({}, async (page) => {
    await page.goto("/sign-in");
    await page.getByLabel("Name").fill(TEXT);
    await page.getByLabel("Password").fill("not the password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    assert.deepEqual((await page.evaluate(dangers)).found, []);
    await signIn(page, house());
    await page.goto("/tokens");
    await page.getByLabel("Where it is used").fill(TEXT);
    await page.getByRole("button", { name: "Make the token" }).click();
    await page.getByRole("heading", { name: "Your new token" }).waitFor();
    assert.deepEqual((await page.evaluate(dangers)).found, []);
  });
});

test("a long text without a break breaks no page", async () => {
  await inHouse({}, async (page) => {
    await signIn(page, house());
    await page.goto("/assignments/task00000020");
    await look(page, "strange-assignment");
  });
});
