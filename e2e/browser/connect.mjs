// Drives the Connect page as a customer, in Chromium. It reads a line of JSON: where Chromium is, the link of a session for
// each case, whether there is JavaScript, and the address of who plays the customer's AWS account. It prints what it saw, as
// JSON: for each case the code and text of a failure, or of success, and what axe-core finds before and after.
import {createRequire} from "node:module";
import {readFileSync} from "node:fs";
import {chromium} from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const {program, cases, javaScript, account} = JSON.parse(readFileSync(0, "utf8"));
const browser = await chromium.launch({executablePath: program, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"]});
const connect = async (one) => {
  const problems = [];
  // axe-core itself needs JavaScript, and pages without it are the same HTML.
  const context = await browser.newContext({javaScriptEnabled: javaScript, locale: "en-US", colorScheme: one.dark ? "dark" : "light", viewport: {width: one.phone ? 390 : 1280, height: 844}, reducedMotion: "reduce"});
  context.setDefaultTimeout(30000);
  const page = await context.newPage();
  page.on("console", (m) => { if (m.type() === "error" && !/ 4\d\d \(/.test(m.text())) problems.push(`console: ${m.text()}`); });
  page.on("pageerror", (e) => problems.push(`script: ${e.message}`));
  const check = async (where) => {
    if (!javaScript) return;
    await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.removeAttribute("name"); d.open = true; }));
    await page.evaluate(axe);
    const found = await page.evaluate(() => axe.run(document, {resultTypes: ["violations"]}));
    if (found.passes.length < 10) problems.push(`axe on ${where} has looked at nothing`);
    for (const v of found.violations) problems.push(`axe on ${where}: ${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`);
    if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) problems.push(`${where} is wider than the window`);
  };
  await page.goto(one.link);
  await check("the first page");
  const externalID = await page.locator("#external-id").textContent();
  await fetch(account, {method: "POST", body: JSON.stringify({case: one.name, external_id: externalID})});
  await page.locator("#role_arn").fill(one.role);
  await page.keyboard.press("Enter");
  const end = page.locator("#failure, .success").first();
  await end.waitFor();
  if (javaScript) await page.waitForLoadState("load");
  await check("the last page");
  const failed = await page.locator("#failure").count() > 0;
  const seen = {
    name: one.name, title: await page.title(),
    text: await end.textContent(),
    code: failed ? await page.locator("#failure dd code").first().textContent() : "",
    typed: failed ? await page.locator("#role_arn").inputValue() : "",
    problems,
  };
  await context.close();
  return seen;
};
try {
  console.log(JSON.stringify(await Promise.all(cases.map(connect))));
} finally {
  await browser.close();
}
