// Drives the Connect page as a customer, in Chromium. It reads a line of JSON: where Chromium is, the address of who plays
// the customer's AWS account, and cases, each with a link and what is typed there. It prints what it saw of each, as JSON: the
// page at which the case ended, and everything that is wrong with the pages on the way: what axe-core finds, what is wider
// than the window, what the console complains about, where the focus is lost.
import {createRequire} from "node:module";
import {readFileSync} from "node:fs";
import {chromium} from "playwright-core";
import {check} from "./check.mjs";
import {habits} from "./habits.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const {program, cases, account, screenshots} = JSON.parse(readFileSync(0, "utf8"));
const browser = await chromium.launch({executablePath: program, args: [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  // Few processes: their starts cost more than the pages.
  "--renderer-process-limit=2", "--disable-site-isolation-trials", "--in-process-gpu",
  "--host-resolver-rules=MAP connect.test 127.0.0.1", "--test-third-party-cookie-phaseout",
]});

const failures = new Set();
const visit = async (one, tab) => {
  const problems = [];
  const complaint = (m) => {
    // The status of a page is what the case is about.
    if (m.type() === "error" && !/ [45]\d\d \(/.test(m.text()) && !one.refused) problems.push(`console: ${m.text()}`);
  };
  const fault = (e) => problems.push(`script: ${e.message}`);
  tab.on("console", complaint);
  if (one.javaScript) tab.on("pageerror", fault); // Without it there is none of ours; Chromium's own page for a refused frame has.
  await tab.setExtraHTTPHeaders({"Accept-Language": one.language});
  await tab.setViewportSize({width: one.phone ? 390 : 1280, height: 844});
  await tab.emulateMedia({colorScheme: one.dark ? "dark" : "light", reducedMotion: "reduce"});
  const tell = (moment, id) => fetch(account, {method: "POST", body: JSON.stringify({name: one.name, moment, external_id: id})});
  const look = async (page, where, thorough = true) => {
    // Pages of failures differ only there, so that one for each theme and size is looked at as a whole.
    const kind = `${one.dark} ${one.phone} ${one.language}`;
    const part = failures.has(kind) && await page.locator("#failure").count() > 0 ? ["#failure", "#role"] : undefined;
    if (await page.locator("#failure").count() > 0) failures.add(kind);
    for (const p of await check(page, thorough && one.javaScript && axe, part)) problems.push(`${where}: ${p}`);
    if (!screenshots) return;
    if (where === "start" && thorough) {
      await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.removeAttribute("name"); d.open = true; }));
    }
    for (const [size, width] of [["phone", 390], ["desk", 1280]]) {
      for (const colorScheme of ["light", "dark"]) {
        await tab.setViewportSize({width, height: 844});
        await tab.emulateMedia({colorScheme});
        await tab.evaluate(() => scrollTo(0, 0));
        await tab.screenshot({path: `${screenshots}/${one.name.replace(/\W+/g, "-")}.${where}.${size}.${colorScheme}.png`, fullPage: true});
      }
    }
    await tab.setViewportSize({width: one.phone ? 390 : 1280, height: 844});
    await tab.emulateMedia({colorScheme: one.dark ? "dark" : "light"});
  };
  const tamper = (page) => page.evaluate(([of, submit]) => {
    for (const [id, value] of Object.entries(of)) {
      const field = document.getElementById(id) ?? document.getElementsByName(id)[0];
      field.removeAttribute("maxlength");
      if (field.options) field.add(new Option(value));
      field.value = value;
    }
    if (submit) document.getElementById("role").submit();
  }, [one.tamper, true]);
  const go = async () => {
    await tab.goto(one.within || one.link);
    let page = tab;
    if (one.within) {
      page = tab.frames()[1];
      await page.waitForLoadState("load");
    }
    const form = page.locator("#role_arn");
    if (one.refused) return {refused: await page.locator("main").count() === 0};
    if (await form.count() > 0) {
      const id = await page.locator("#external-id").textContent();
      await look(page, "start", one.start);
      if (one.habits) problems.push(...await habits(tab, id));
      await tell("page", id);
      if (one.tamper) {
        await tamper(page);
      } else {
        if (one.region) await page.locator("#region").fill(one.region);
        if (one.mistake) {
          await form.fill(one.mistake);
          await form.press("Enter");
          await page.locator("a[href='?change']").click();
          await form.waitFor();
          if (await form.inputValue() !== one.mistake) problems.push("what was typed is lost");
        }
        await form.fill(one.role);
        await form.press("Enter");
      }
    }
    if (one.running) {
      await page.locator(".steps .now").waitFor();
      if (one.running !== "now") await page.locator("#progress", {hasText: one.running}).waitFor();
      const [moves, live] = await page.evaluate(() => [
        getComputedStyle(document.querySelector(".now .state"), "::before").animationName, document.getElementById("progress").ariaLive,
      ]);
      if (moves !== "none") problems.push(`${moves} moves for who wants nothing to move`);
      if (live !== "polite") problems.push("the progress is not said");
      await look(page, "running");
      await tell("running");
    }
    await page.locator("#failure, .success, .ended").first().waitFor();
    await page.waitForLoadState("load");
    await look(page, "end");
    const failed = await page.locator("#failure").count() > 0;
    const seen = {
      language: await page.locator("html").getAttribute("lang"),
      text: await page.locator("main").textContent(),
      title: await page.title(),
      status: await page.locator("#failure, .success, .ended").first().getAttribute("class"),
    };
    if (failed) {
      seen.code = await page.locator("#failure dd code").first().textContent();
      seen.typed = await page.locator("#role_arn").inputValue();
      // In a frame of another site it stays where it is.
      if (!one.within) await page.locator("#failure:focus").waitFor({timeout: 10000}).catch(() => problems.push("the focus is not at the failure"));
      const field = await page.locator("#failure .what a").first().getAttribute("href", {timeout: 1}).catch(() => "");
      if (field && await page.locator(`${field}[aria-invalid=true]`).count() !== 1) problems.push(`${field} is not marked as wrong`);
    }
    return seen;
  };
  let seen = {};
  try {
    seen = await go();
  } catch (e) {
    problems.push(`at ${tab.url()}: ${e.message}`);
  }
  tab.off("console", complaint);
  tab.off("pageerror", fault);
  return {name: one.name, problems, ...seen};
};

// Some customers at a time, each with a browser profile of their own with JavaScript or without.
const all = new Array(cases.length);
let next = 0;
const customer = async () => {
  let context, tab, kind;
  while (next < cases.length) {
    const n = next++, one = cases[n];
    if (kind !== one.javaScript) {
      await context?.close();
      kind = one.javaScript;
      context = await browser.newContext({
        javaScriptEnabled: one.javaScript, permissions: one.javaScript ? ["clipboard-read", "clipboard-write"] : [],
      });
      context.setDefaultTimeout(30000);
      tab = await context.newPage();
    }
    all[n] = await visit(one, tab);
  }
};
try {
  await Promise.all(Array.from({length: 6}, customer));
  console.log(JSON.stringify(all));
} finally {
  await browser.close();
}
