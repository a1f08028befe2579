// The live page: applies fragments from the event stream, shows ages, sends acts, and says loudly when it is not live.
(() => {
  "use strict";
  const LATE = 4400; // ms without a beat (they come every 2 s) after which the page is not live
  const body = document.body, data = body.dataset;
  const stale = document.getElementById("stale"), toast = document.getElementById("toast");
  const units = data.units.split(" ");
  let zero = Number(data.now) - performance.now(); // page's clock (ms) minus ours
  let beaten = performance.now(), beatenAt = new Date(), stuck = false, over = false, build = "", held = 0, waiting = {};

  // -- ages
  const length = (ms) => {
    const s = Math.max(0, Math.round(ms / 1000));
    if (s < 60) return s + " " + units[0];
    if (s < 3600) return Math.floor(s / 60) + " " + units[1];
    if (s < 86400) return Math.floor(s / 3600) + " " + units[2] + (s % 3600 >= 60 ? " " + Math.floor(s % 3600 / 60) + " " + units[1] : "");
    return Math.floor(s / 86400) + " " + units[3];
  };
  const age = (time) => {
    const t = Number(time.dataset.t);
    if (!t) return;
    const past = zero + performance.now() - t;
    const text = past >= -500 ? data.ago.replace("~", length(past)) : data.due.replace("~", length(-past));
    if (time.textContent !== text) time.textContent = text;
  };
  const ages = (root) => root.querySelectorAll("time[data-t]").forEach(age);

  // -- live or not
  const look = () => {
    const late = performance.now() - beaten > LATE;
    const dead = late || stuck || over;
    if (dead && stale.hidden) document.getElementById("stale-since").textContent = beatenAt.toLocaleTimeString();
    stale.hidden = !dead;
    document.getElementById("stuck").hidden = !stuck;
    body.classList.toggle("stale", dead);
  };
  const alive = () => { beaten = performance.now(); beatenAt = new Date(); over = false; body.classList.remove("lost"); };

  // -- fragments: held back while a finger is down, so that no button changes under it
  const apply = () => {
    if (held && performance.now() - held < 1500) return;
    for (const [name, html] of Object.entries(waiting)) {
      for (const place of document.querySelectorAll(`[data-f="${CSS.escape(name)}"]`)) {
        const before = order(place);
        place.innerHTML = html;
        ages(place);
        if (before !== order(place)) calm(place);
      }
    }
    waiting = {};
  };
  const order = (place) => Array.from(place.querySelectorAll("[data-alarm]"), (one) => one.dataset.alarm).join();
  const calm = (place) => { // what has just moved cannot be pressed by mistake
    place.classList.add("moved");
    clearTimeout(place.calming);
    place.calming = setTimeout(() => place.classList.remove("moved"), 400);
  };
  addEventListener("pointerdown", () => { held = performance.now(); });
  for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, () => { held = 0; setTimeout(apply, 50); });

  // -- the stream
  const query = new URLSearchParams({ view: data.view, argument: data.argument });
  let stream;
  const open = () => {
    stream = new EventSource("/stream?" + query);
    stream.addEventListener("p", (event) => { alive(); Object.assign(waiting, JSON.parse(event.data)); apply(); look(); });
    stream.addEventListener("b", (event) => {
      const beat = JSON.parse(event.data);
      alive();
      zero = beat.now - performance.now();
      stuck = beat.stuck;
      if (beat.build && build && beat.build !== build) location.reload();
      build = beat.build || build;
      look();
    });
    stream.addEventListener("bye", () => { over = true; look(); });
    stream.addEventListener("error", () => {
      body.classList.add("lost");
      if (stream.readyState === EventSource.CLOSED) { stream.close(); setTimeout(open, 2000); }
    });
  };
  open();
  setInterval(() => { look(); apply(); ages(document); }, 400);
  addEventListener("visibilitychange", look);
  addEventListener("pageshow", look);

  // -- acts
  const say = (text, good) => {
    toast.textContent = text;
    toast.className = good ? "good" : "bad";
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { toast.className = ""; }, 6000);
  };
  addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.id !== "act" && !("act" in form.dataset)) return;
    event.preventDefault();
    const fields = new URLSearchParams(new FormData(form, event.submitter));
    event.submitter.disabled = true;
    try {
      const answer = await fetch(form.action, { method: "POST", body: fields, headers: { accept: "application/json" } });
      if (!(answer.headers.get("content-type") || "").includes("json")) { location.reload(); return; }
      const said = await answer.json();
      if (said.go) { location.href = said.go; return; }
      say(said.said, said.good);
    } catch {
      say(data.failed, false);
    } finally {
      event.submitter.disabled = false;
    }
  });
  ages(document);
})();
