// How the page speaks with the one that has it in a frame. Nothing is said to, or taken from, any other than those that the
// operator lists.
(() => {
  "use strict";
  if (parent === self) return;

  const {origins, enter, event} = document.currentScript.dataset;
  const enterURL = new URL(enter, location.href);
  const listed = origins.split(" ").map((origin) => new URL(origin).origin);
  // Not all browsers tell who it is. What is said to one that it is not, they drop.
  const embedder = location.ancestorOrigins?.[0];
  const hearers = embedder ? listed.filter((origin) => origin === embedder) : listed;
  const tell = (message) => { for (const origin of hearers) parent.postMessage(message, origin); };

  // A token that arrives takes the place of the link.
  const waiting = document.getElementById("waiting");
  let asked = 0;
  const take = async (token) => {
    const mine = ++asked;
    let found = {code: "server_error", ...waiting?.dataset};
    try {
      const answer = await fetch(enterURL, {method: "POST", body: new URLSearchParams({session_token: token})});
      found = await answer.json();
    } catch {
      // The words for that are in the page.
    }
    if (mine !== asked) return;
    if (found.page) {
      const page = new URL(found.page, enterURL);
      if (page.pathname !== location.pathname) location.replace(page);
      return;
    }
    if (waiting) {
      waiting.querySelector("h1").textContent = document.title = found.title;
      waiting.querySelector("p").textContent = found.text;
    }
    tell({type: "error", payload: {errorType: found.code, errorMessage: found.title ?? ""}});
  };
  addEventListener("message", (message) => {
    if (message.source !== parent || !listed.includes(message.origin)) return;
    const {type, sessionToken} = Object(message.data);
    if (type === "session_token" && typeof sessionToken === "string") take(sessionToken);
  });

  for (const button of document.querySelectorAll("[data-close]")) {
    button.hidden = false;
    button.addEventListener("click", () => tell({type: "close"}));
  }

  // The first page in the frame is ready once. What a page has to say is said once, too, whatever language it is read in after.
  if (!document.referrer.startsWith(location.origin + "/")) tell({type: "ready"});
  if (event && location.hash !== "#told") {
    tell(JSON.parse(event));
    history.replaceState(null, "", "#told");
    for (const link of document.querySelectorAll(".languages a")) link.hash = "told";
    for (const button of document.querySelectorAll(".languages button")) button.formAction = "./#told";
  }
})();
