// Drives the operator's pages in Chromium, with the keyboard where a form is sent, with JavaScript and without (the pages have
// none). It reads a line of JSON: where Chromium is, the pages' address, who logs in, and how. It prints what is wrong with the
// pages on the way, as JSON.
import {createRequire} from "node:module";
import {readFileSync} from "node:fs";
import {chromium} from "playwright-core";
import {check} from "./check.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const {program, site, user, password, screenshots} = JSON.parse(readFileSync(0, "utf8"));
const browser = await chromium.launch({executablePath: program, args: [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--renderer-process-limit=2", "--disable-site-isolation-trials", "--in-process-gpu",
]});
const problems = [];
const seen = [];

const walk = async (name, {javaScript, phone, dark}) => {
  const context = await browser.newContext({
    javaScriptEnabled: javaScript, httpCredentials: {username: user, password, origin: site, send: "always"}, colorScheme: dark ? "dark" : "light",
    viewport: {width: phone ? 390 : 1280, height: 844}, reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  // What customers see has a script and a frame of its own, which a preview does without.
  const meant = / [45]\d\d \(|\/preview\/(assets\/page\.|keep')/;
  page.on("console", (m) => { if (m.type() === "error" && !meant.test(m.text())) problems.push(`${name}: console: ${m.text()}`); });
  page.on("pageerror", (e) => problems.push(`${name}: script: ${e.message}`));
  let count = 0;
  const look = async (where) => {
    await page.waitForLoadState("load"); // With it the style is there.
    for (const p of await check(page, javaScript && axe)) problems.push(`${name}: ${where}: ${p}`);
    if (await page.locator("script").count() > 0) problems.push(`${name}: ${where}: there is a script`);
    if (await page.locator("h1").count() !== 1) problems.push(`${name}: ${where}: it has no one heading`);
    seen.push(`${name}: ${where}: ${await page.locator("main").textContent()}`.replace(/\s+/g, " "));
    if (screenshots) {
      await page.screenshot({path: `${screenshots}/admin-${name}-${String(++count).padStart(2, "0")}-${where}.png`, fullPage: true});
      if (await page.locator("details").count() > 0 && javaScript) {
        await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
        await page.screenshot({path: `${screenshots}/admin-${name}-${String(count).padStart(2, "0")}-${where}-open.png`, fullPage: true});
      }
    }
  };
  // While a page still loads, a key may go nowhere.
  const enter = async (field) => {
    await page.locator(field).waitFor();
    await page.waitForLoadState("load");
    await page.locator(field).press("Enter");
  };
  await page.goto(site + "/ops/");
  await look("integrations");
  await page.locator("a", {hasText: "New integration"}).click();
  await enter("#key");
  await page.locator("[role=alert]").waitFor();
  await look("refused");
  await page.locator("#key").fill(`made ${name}`);
  await page.locator("#display_name").fill("<b>Reports</b> & more");
  await page.locator("#service").fill("s3");
  await page.locator("#region").fill("eu-west-1");
  await page.locator("input[value=credentials]").check();
  await page.locator("#credentials").selectOption("broker");
  await enter("#service");
  await page.locator("[role=status]", {hasText: "The integration was made."}).waitFor();
  await look("integration");
  await page.locator("a", {hasText: "Add a template"}).click();
  await page.locator("#id").fill("role");
  await page.locator("#url").fill("https://127.0.0.1:1/role.json");
  await page.locator("button", {hasText: "Load template"}).click();
  await page.locator("[role=alert]").waitFor();
  await look("template");
  await page.goBack();
  await page.goto(`${site}/ops/integrations/${encodeURIComponent(`made ${name}`)}/preview/`);
  const preview = page.frameLocator("iframe");
  await preview.locator("h1").waitFor();
  if (await preview.locator(".top img").count() > 0) problems.push(`${name}: there is a logo`);
  await look("preview");
  await page.locator("a", {hasText: `← made ${name}`}).click();
  await page.locator("a", {hasText: "New link"}).click();
  await page.locator("#organization").fill("globex");
  await page.locator("#organization_name").fill("Globex");
  await enter("#organization");
  await page.locator("#link").waitFor();
  await look("link");
  await page.locator(".sections a", {hasText: "Connections"}).click();
  await look("connections");
  await page.locator(".card h2 a").first().click();
  await look("connection");
  await page.locator("button", {hasText: "Verify the role"}).press("Enter");
  await page.locator(".success, .failure").waitFor();
  await look("verified");
  await page.locator("button", {hasText: "Pause"}).click();
  await page.locator(".badge.paused").waitFor();
  await look("paused");
  await page.locator("button", {hasText: "Resume"}).click();
  await page.locator(".badge.active").waitFor();
  await page.locator("a", {hasText: "Delete…"}).click();
  await look("delete");
  await page.locator("a", {hasText: "Keep it"}).click();
  await page.locator(".badge.active").waitFor();
  await page.goto(`${site}/ops/integrations/acme-s3/`);
  await look("read-only");
  await page.goto(`${site}/ops/nothing`);
  await look("nothing");
  await context.close();
};

await walk("desk", {javaScript: true, phone: false, dark: false});
await walk("phone", {javaScript: true, phone: true, dark: true});
await walk("plain", {javaScript: false, phone: true, dark: false});
await browser.close();
console.log(JSON.stringify({problems, seen}));
