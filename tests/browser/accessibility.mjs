// What axe-core, the rules that most audits use, says about a page.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The rules that are asked for: WCAG 2.2 up to AA, and good practice. */
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Violations in a page, one text each: the rule, what it wants, and the places. Empty when there is none. */
export async function violations(page) {
  // Not addScriptTag: a page's content security policy would rightly refuse it.
  await page.evaluate(`(() => { ${SOURCE}\n })()`);
  const results = await page.evaluate((tags) => window.axe.run({ runOnly: tags }), TAGS);
  if (results.passes.length === 0) {
    throw new Error("axe-core found nothing to judge: is this a page?");
  }
  return results.violations.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} (${failureSummary})`).join("; ")}`,
  );
}
