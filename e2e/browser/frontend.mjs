// Has pages of a vendor's, in Chromium, use the client library that they would use with another server: @nangohq/frontend, as it
// is published. It reads a line of JSON: where Chromium is, where our server is (host), a vendor's origin that it lists (vendor)
// and one that it does not (stranger). It prints what came of each step, as JSON.
import {randomUUID} from "node:crypto";
import {readFileSync} from "node:fs";
import {chromium} from "playwright-core";

const {program, host, vendor, stranger, key, screenshots} = JSON.parse(readFileSync(0, "utf8"));
const browser = await chromium.launch({executablePath: program, args: [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--renderer-process-limit=2", "--disable-site-isolation-trials", "--in-process-gpu", "--test-third-party-cookie-phaseout",
]});
const seen = {};

// What the vendor's server does for its page: sessions, proofs, and the role in its customer's account.
const backend = async (what) => (await fetch(vendor + "/backend", {method: "POST", body: JSON.stringify(what)})).json();
const session = async (organization, connection) => (await backend({organization, connection})).token;
const altered = (token) => token.slice(0, -1) + (token.endsWith("0") ? "1" : "0");
const role = (name, external_id) => backend({role: name, external_id}).then((made) => made.arn);

// open loads a page of an origin's, which has the library, in a browser of its own.
const open = async (origin) => {
  const context = await browser.newContext({colorScheme: "light"});
  context.setDefaultTimeout(30000);
  const page = await context.newPage();
  page.entered = []; // the tokens that the page in the frame was given
  page.urls = [];
  page.on("request", (r) => {
    page.urls.push(r.url());
    if (r.url().endsWith("/connect/enter")) page.entered.push(new URLSearchParams(r.postData()).get("session_token"));
  });
  await page.goto(origin + "/");
  await page.waitForFunction(() => globalThis.Nango);
  return page;
};

// auth calls a method of the library's, and returns what it does or the error that it throws.
const auth = (page, options, method, ...args) => page.evaluate(async ([options, method, args]) => {
  try {
    return await new Nango(options)[method](...args);
  } catch (e) {
    return {error: e.constructor.name, ours: e instanceof AuthError, type: e.type, message: e.message};
  }
}, [options, method, args]);
const as = (role_arn, region) => ({credentials: {type: "AWS_SIGV4", role_arn, ...region && {region}}});

// openUI opens the page in a frame of the library's. events is what the page has said, and ui is the library's.
const openUI = (page, options, params) => page.evaluate(([options, params]) => {
  globalThis.events = [];
  globalThis.ui = new Nango(options).openConnectUI({...params, onEvent: (e) => { events.push(e); }});
}, [options, params]);
const said = (page, type) => page.waitForFunction((type) => events.find((e) => e.type === type), type).then((found) => found.jsonValue());
const events = (page) => page.evaluate(() => events);
const closed = (page) => page.waitForFunction(() => !document.getElementById("connect-ui"));
const picture = (page, name) => screenshots && page.screenshot({path: `${screenshots}/frontend.${name}.png`});
const framed = (page) => page.frameLocator("#connect-ui");

const steps = {
  async auth(page) {
    const connectSessionToken = await session("auth"), options = {host, connectSessionToken};
    const {external_id} = await page.evaluate(async (url) => (await fetch(url)).json(), `${host}/auth/aws-sigv4/acme-s3?connect_session_token=${connectSessionToken}`);
    const arn = await role("Auth", "not yet");
    const mismatch = await auth(page, options, "auth", "acme-s3", {...as(arn), params: {external_id: "another-customers"}});
    const denied = await auth(page, options, "auth", "acme-s3", as(arn));
    const invalid = await auth(page, options, "auth", "acme-s3", as("arn:aws:iam::1:role/x"));
    const base = await auth(page, options, "auth", "acme-s3", {...as(arn), params: {base_url: "https://evil.example"}});
    await role("Auth", external_id);
    const made = await auth(page, options, "auth", "acme-s3", {...as(arn, "eu-west-1"), params: {external_id}});
    const again = await auth(page, {host, connectSessionToken: await session("auth", made.connectionId)}, "reconnect", "acme-s3", {...as(arn), params: {external_id}});
    const used = await auth(page, options, "auth", "acme-s3", as(arn + "2"));
    const unknown = await auth(page, {host, connectSessionToken: altered(connectSessionToken)}, "auth", "acme-s3", as(arn));
    const other = await auth(page, {host, connectSessionToken: await session("auth")}, "auth", "nothing", as(arn));
    return {mismatch, denied, invalid, base, made, again, used, unknown, other};
  },

  // With a public key and the vendor's proof there is no session.
  async publicKey(page) {
    const id = randomUUID(), {hmac, public_key} = await backend({prove: "acme-s3:" + id});
    const options = {host, publicKey: public_key};
    const {external_id} = await page.evaluate(async (url) => (await fetch(url)).json(), `${host}/auth/aws-sigv4/acme-s3?public_key=${public_key}&connection_id=${id}&hmac=${hmac}`);
    const arn = await role("Proven", external_id);
    const forged = await auth(page, options, "auth", "acme-s3", id, {...as(arn), hmac: "0".repeat(64)});
    const made = await auth(page, options, "auth", "acme-s3", id, {...as(arn), hmac});
    return {id, forged, made};
  },

  // A page that is not listed can call nothing, though it has the token of a session; and one that is can call nothing
  // that is not a customer's.
  async origins(page) {
    const foreign = await open(stranger), connectSessionToken = await session("origins");
    const arn = await role("Origins", "any");
    const stranger_ = await auth(foreign, {host, connectSessionToken}, "auth", "acme-s3", as(arn));
    const call = (page, method, path) => page.evaluate(async ([method, url, key]) => {
      try {
        return (await fetch(url, {method, headers: {authorization: "Bearer " + key, "content-type": "application/json"}, body: method === "GET" ? undefined : "{}"})).status;
      } catch (e) {
        return e.name;
      }
    }, [method, host + path, key]);
    const calls = {};
    for (const [method, path] of [["GET", "/connections"], ["GET", "/connections/x"], ["POST", "/connect/sessions"], ["GET", "/integrations"], ["GET", "/proxy/x"], ["POST", "/connect/enter"]]) {
      calls[`${method} ${path}`] = await call(page, method, path);
    }
    const simple = await page.evaluate(async (url) => {
      try {
        return (await fetch(url, {method: "POST", credentials: "include", body: new URLSearchParams({session_token: "x"})})).status;
      } catch (e) {
        return e.name;
      }
    }, host + "/connect/enter");
    const session_ = await page.evaluate(async ([url, token]) => (await fetch(url, {headers: {authorization: "Bearer " + token}})).status, [host + "/connect/session", connectSessionToken]);
    await foreign.close();
    return {stranger: stranger_, calls, simple, session: session_};
  },

  // The page in a frame, opened before there is a token.
  async frame(page) {
    const name = "Framed", planted = await session("planted"), token = await session("framed");
    page.entered.length = page.urls.length = 0;
    await openUI(page, {host}, {baseURL: host + "/connect", apiURL: host, lang: "de", themeOverride: "dark"});
    await said(page, "ready");
    const waiting = await framed(page).locator("#waiting h1").textContent();
    await picture(page, "waiting");
    // Others than the page around it try: a frame beside it, of the same origin, and the page with what is no token.
    await page.evaluate(async (token) => {
      const beside = document.createElement("iframe");
      beside.srcdoc = `<script>for (const t of ["*", parent.hostOf]) parent.frames["0"].postMessage({type: "session_token", sessionToken: "${token}"}, t)</script>`;
      const to = document.getElementById("connect-ui").contentWindow;
      globalThis.hostOf = new URL(document.getElementById("connect-ui").src).origin;
      await new Promise((done) => { beside.onload = done; document.body.append(beside); });
      for (const data of [null, 7, "session_token", {}, {type: "session_token"}, {type: "session_token", sessionToken: {}}, {type: "connect"}, {type: "close"}]) to.postMessage(data, "*");
    }, planted);
    await page.evaluate((token) => ui.setSessionToken(token), token);
    const form = framed(page).locator("#role_arn");
    const external_id = await framed(page).locator("#external-id").textContent();
    const language = await framed(page).locator("html").getAttribute("lang");
    const dark = await framed(page).locator("body").evaluate((body) => getComputedStyle(body).backgroundColor);
    await picture(page, "form");
    const arn = await role(name, "not yet");
    await form.fill(arn);
    await form.press("Enter");
    const error = await said(page, "error");
    await framed(page).locator(".languages button[lang=en]").click();
    await framed(page).locator("html[lang=en] #failure").waitFor();
    await role(name, external_id);
    await framed(page).locator("#failure button.primary").click();
    const connect = await said(page, "connect");
    await framed(page).locator(".languages a[lang=fr]").click();
    await framed(page).locator("html[lang=fr] .success").waitFor();
    await picture(page, "done");
    // A second token, of a session that is over: the page stays, and says so to the page around it.
    await page.evaluate((token) => { globalThis.before = events.length; ui.setSessionToken(token); }, altered(token));
    await page.waitForFunction(() => events.length > before);
    const stays = await framed(page).locator(".success").count();
    await framed(page).locator("p[data-close] button").click();
    await closed(page);
    return {waiting, language, dark, error, connect, stays, events: await events(page), entered: page.entered.map((t) => t === token ? "token" : t === planted ? "planted" : "other"),
      leaked: page.urls.filter((url) => url.includes(token)).length};
  },

  // Opened with a token, at the place above the page's; what is said of a session that is over; the close button.
  async over(page) {
    const token = await session("over");
    await page.evaluate(([url, token]) => fetch(url, {method: "DELETE", headers: {authorization: "Bearer " + token}}), [host + "/connect/session", token]);
    await openUI(page, {host, connectSessionToken: token}, {baseURL: host, apiURL: host, lang: "ja"});
    const error = await said(page, "error");
    const shown = await framed(page).locator("#waiting").textContent();
    await picture(page, "over");
    const light = await framed(page).locator("body").evaluate((body) => getComputedStyle(body).backgroundColor);
    await framed(page).locator("button[data-close]").click();
    await closed(page);
    return {error, shown: shown.trim() !== "", light, events: await events(page)};
  },

  // The link itself in a frame.
  async link(page) {
    const {link, token} = await backend({organization: "link"});
    await page.evaluate((link) => {
      globalThis.events = [];
      addEventListener("message", (e) => { events.push({...e.data, origin: e.origin}); });
      const frame = document.createElement("iframe");
      frame.id = "connect-ui";
      frame.src = link;
      document.body.append(frame);
    }, link);
    await framed(page).locator("#role_arn").waitFor();
    const ready = await said(page, "ready");
    page.entered.length = 0;
    await page.evaluate(([token, host]) => document.getElementById("connect-ui").contentWindow.postMessage({type: "session_token", sessionToken: token}, new URL(host).origin), [token, host]);
    const other = await session("another");
    await page.evaluate(([token, host]) => document.getElementById("connect-ui").contentWindow.postMessage({type: "session_token", sessionToken: token}, new URL(host).origin), [other, host]);
    await framed(page).locator("dd", {hasText: "another"}).waitFor();
    await framed(page).locator("button[data-close]").click();
    await said(page, "close");
    return {ready, events: await events(page)};
  },

  // A page that is not listed gets no page into its frame, and hears nothing; in a window there is none that waits for a token.
  async stranger() {
    const page = await open(stranger), token = await session("stranger");
    await openUI(page, {host, connectSessionToken: token}, {baseURL: host + "/connect", apiURL: host});
    const frame = await (await page.waitForSelector("#connect-ui")).contentFrame();
    await frame.waitForURL(/^chrome-error:/);
    const popup = page.waitForEvent("popup");
    await page.evaluate((url) => { globalThis.other = open(url); }, host + "/connect/?apiURL=" + encodeURIComponent(host));
    const window_ = await popup;
    await window_.waitForLoadState("load");
    await page.evaluate(([token, host]) => {
      for (const to of [document.getElementById("connect-ui").contentWindow, other]) {
        for (const target of ["*", new URL(host).origin]) to.postMessage({type: "session_token", sessionToken: token}, target);
      }
    }, [token, host]);
    // What is posted arrives in order, so that whatever came of it has begun once this has come back.
    await window_.evaluate(() => new Promise((done) => { addEventListener("message", done); postMessage(0); }));
    const seen = {events: await events(page), entered: [...page.entered], window: await window_.locator("#waiting").count()};
    await window_.close();
    await page.close();
    return seen;
  },
};

try {
  await Promise.all(Object.entries(steps).map(async ([name, step]) => {
    const page = name === "stranger" ? undefined : await open(vendor);
    try {
      seen[name] = await step(page);
    } catch (e) {
      seen[name] = {broken: `${e.message} ${page ? JSON.stringify(await page.evaluate(() => globalThis.events ?? [])) : ""}`};
    }
  }));
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
