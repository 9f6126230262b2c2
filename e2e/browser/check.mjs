// What is wrong with a page that shows, whichever it is.

// check returns it. axe is the source of axe-core, or nothing where it can't run; part is what it looks at if not at all.
export const check = async (page, axe, part) => {
  const problems = [];
  // All that is folded is looked at, too.
  const folded = await page.evaluate(() => {
    const all = [...document.querySelectorAll("details:not([open])")].map((d) => [d, d.getAttribute("name")]);
    for (const [d] of all) { d.removeAttribute("name"); d.open = true; }
    globalThis.fold = () => { for (const [d, name] of all) { d.open = false; if (name) d.setAttribute("name", name); } };
    return all.length;
  });
  if (axe) {
    await page.evaluate(axe);
    const found = await page.evaluate((part) => axe.run(part ? {include: part} : document, {resultTypes: ["violations"], preload: false}), part);
    if (found.passes.length < 5) problems.push("axe-core has looked at nothing");
    for (const v of found.violations) problems.push(`axe-core: ${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`);
  }
  const rest = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth > innerWidth && [...document.querySelectorAll("body *")]
      .filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80)).slice(-3),
    left: document.body.innerText.match(/\{[a-z_]+\}|\bundefined\b|<no value>|%!/)?.[0],
    small: [...document.querySelectorAll("a.primary, button, summary, input:not([type=hidden]), select, .languages a")]
      .filter((e) => e.offsetParent && !e.classList.contains("hidden") && e.getBoundingClientRect().height < 24).map((e) => e.outerHTML.slice(0, 80)),
  }));
  if (rest.wide) problems.push(`it is wider than the window: ${rest.wide.join(" ")}`);
  if (rest.left) problems.push(`${rest.left} was not filled in`);
  if (rest.small.length) problems.push(`too small for a finger: ${rest.small.join(" ")}`);
  if (folded) await page.evaluate(() => globalThis.fold());
  return problems;
};
