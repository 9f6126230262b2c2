// What the page does beyond what it does without JavaScript.
(() => {
  "use strict";

  const announce = document.getElementById("announce");
  const say = (text) => { if (announce) announce.textContent = text; };

  // Copy buttons.
  const select = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };
  const copy = async (element) => {
    try {
      await navigator.clipboard.writeText(element.textContent);
      return true;
    } catch {
      select(element); // Frames may not use the clipboard unless they are let.
      return document.execCommand("copy");
    }
  };
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const label = button.firstElementChild;
    const before = label.textContent;
    let timer;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = await copy(document.getElementById(button.dataset.copy)) ? button.dataset.done : button.dataset.failed;
      label.textContent = text;
      say(text);
      clearTimeout(timer);
      timer = setTimeout(() => { label.textContent = before; say(""); }, 2500);
    });
  }

  // The time of day as it is here.
  const until = document.querySelector("#until time");
  const showUntil = (date) => {
    until.dateTime = date.toISOString();
    until.textContent = date.toLocaleTimeString(document.documentElement.lang, {hour: "2-digit", minute: "2-digit"});
  };
  if (until) showUntil(new Date(until.dateTime));

  // What is typed is checked when nobody types for a while, and complained about only when it looks
  // finished.
  const form = document.getElementById("role");
  const ended = () => {
    say(form.dataset.ended);
    document.getElementById("until").textContent = form.dataset.ended;
  };
  if (form) {
    const fields = ["role_arn", "region"].map((id) => document.getElementById(id));
    let timer, asked = 0, pressed = false;
    // Nothing moves between pressing a button and letting it go.
    const press = (now) => () => { pressed = now; };
    addEventListener("pointerdown", press(true), true);
    for (const over of ["pointerup", "pointercancel"]) addEventListener(over, press(false), true);
    const show = (input, {good = "", bad = ""} = {}, finished) => {
      const live = document.getElementById(input.id + "-live");
      const text = good || (finished ? bad : "");
      const mark = good ? "✓ " : "✕ ";
      if (live.textContent !== (text && mark + text)) live.textContent = text && mark + text;
      live.className = "live" + (good ? " good" : text ? " bad" : "");
      if (text && !good) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid");
      input.closest(".field").classList.toggle("wrong", Boolean(text && !good));
    };
    const check = async (left) => {
      clearTimeout(timer);
      const mine = ++asked;
      try {
        const answer = await fetch(form.dataset.check, {method: "POST", body: new URLSearchParams(new FormData(form))});
        if (answer.status === 410) ended();
        if (!answer.ok || mine !== asked) return;
        const found = await answer.json();
        while (pressed) await new Promise((go) => setTimeout(go, 50));
        for (const input of fields) {
          show(input, found[input.name], left || document.activeElement !== input || input.value.length > 30);
        }
      } catch {
        // The form is checked when it is sent.
      }
    };
    for (const input of fields) {
      input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(check, 700); });
      input.addEventListener("change", () => check(true));
    }
  }

  // As long as the page is open, its session goes on.
  if (form) {
    const keep = async () => {
      try {
        const answer = await fetch(form.dataset.keep);
        const expires = answer.headers.get("X-Session-Expires");
        if (answer.status === 410) ended();
        else if (expires) showUntil(new Date(expires));
      } catch {
        // It is tried again.
      }
    };
    setInterval(keep, 4 * 60 * 1000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) keep(); });
  }

  // How the verification goes on.
  const steps = document.getElementById("steps");
  if (steps) {
    const progress = document.getElementById("progress");
    const follow = async () => {
      try {
        const answer = await fetch(steps.dataset.status);
        const now = await answer.json();
        if (!answer.ok || now.state !== "running") {
          location.replace(location.pathname);
          return;
        }
        let state = "done";
        for (const item of steps.children) {
          if (item.dataset.step === now.step) state = "now";
          item.className = state;
          item.lastElementChild.textContent = steps.dataset[state];
          if (state === "now") state = "todo";
        }
        if (progress.textContent !== now.message) progress.textContent = now.message;
      } catch {
        // The network may come back.
      }
      setTimeout(follow, 1000);
    };
    setTimeout(follow, 700);
  }

  // Safari does not focus what is no field by itself.
  document.getElementById("failure")?.focus();
})();
