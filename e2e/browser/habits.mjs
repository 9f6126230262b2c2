// What people do with the page besides filling it in: they go through it by keyboard, copy, magnify and print.

export const habits = async (page, externalID) => {
  const problems = [];
  const focused = () => page.evaluate(() => {
    const e = document.activeElement;
    if (e === document.body) return null;
    const style = getComputedStyle(e), box = e.getBoundingClientRect();
    return {
      what: e.id || e.name || e.textContent.trim().slice(0, 40), html: e.outerHTML.slice(0, 100),
      ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
      inView: box.bottom > 0 && box.top < innerHeight && box.width > 1 && box.height > 1,
      place: [...document.querySelectorAll("*")].indexOf(e),
    };
  });

  // By keyboard alone.
  const stops = [];
  for (let n = 0; n < 80; n++) {
    await page.keyboard.press("Tab");
    const stop = await focused();
    if (!stop || stops.some((s) => s.place === stop.place)) break;
    if (!stop.ring) problems.push(`the focus can't be seen at ${stop.html}`);
    if (!stop.inView) problems.push(`the focus is out of sight at ${stop.html}`);
    if (stops.some((s) => s.place > stop.place)) problems.push(`${stop.html} comes too late`);
    stops.push(stop);
  }
  const want = await page.evaluate(() => [...document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select")]
    .filter((e) => e.tabIndex >= 0 && e.checkVisibility({contentVisibilityAuto: true})).length);
  if (stops.length !== want) problems.push(`Tab stops ${stops.length} times, and there are ${want} things to stop at`);
  await page.evaluate(() => document.activeElement.blur());

  // The link to the content.
  await page.locator("body").press("Home");
  await page.locator(".skip").focus();
  await page.keyboard.press("Enter");
  if (await page.evaluate(() => document.activeElement.id) !== "main") problems.push("the link to the content does not lead there");

  // Copy, by keyboard.
  await page.locator("[data-copy=external-id]").focus();
  await page.keyboard.press("Enter");
  await page.locator("#announce", {hasText: /./}).waitFor({state: "attached"});
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  if (copied !== externalID) problems.push(`Copy has copied ${copied}`);

  // What is typed is checked.
  const live = (text) => page.locator("#role_arn-live", {hasText: text}).waitFor();
  await page.locator("#role_arn").fill("arn:aws:iam::444455556666:user/somebody");
  await page.locator("#region").focus();
  await live("✕");
  if (await page.locator("#role_arn").getAttribute("aria-invalid") !== "true") problems.push("what is wrong while it is typed is not marked");
  await page.locator("#role_arn").fill("arn:aws:iam::444455556666:role/path/Somebody");
  await live("Somebody");

  // Magnified to 200 %, and to the 320 pixels of WCAG 1.4.10.
  const size = page.viewportSize();
  for (const width of [640, 320]) {
    await page.setViewportSize({width, height: 422});
    if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) problems.push(`it is wider than a window of ${width}`);
  }
  await page.setViewportSize(size);

  // On paper.
  await page.emulateMedia({media: "print", colorScheme: "dark"});
  const paper = await page.evaluate(() => ({
    background: getComputedStyle(document.body).backgroundColor,
    buttons: [...document.querySelectorAll("button")].filter((e) => e.checkVisibility() && !e.classList.contains("hidden")).length,
    id: document.getElementById("external-id").checkVisibility(),
    policy: document.getElementById("policy").getBoundingClientRect().height,
  }));
  if (paper.background !== "rgb(255, 255, 255)" || paper.buttons || !paper.id || paper.policy < 50) problems.push(`on paper: ${JSON.stringify(paper)}`);
  await page.emulateMedia({media: null, colorScheme: null, reducedMotion: "reduce"});
  return problems;
};
