// One job: its life over generations and attempts, as it happens, and why it waits.

import { ask, askForReason, follow, tell } from "./asking.js";
import { facts, fill, json, lasting, make, problem, secondsOf, state, when } from "./building.js";

const id = location.pathname.split("/").pop();
const path = `/v1/jobs/${encodeURIComponent(id)}`;
const ENDED = new Set(["complete", "failed", "cancelled"]);
const AFTER = { queued: "queued", started: "processing", progressed: "processing", retrying: "retrying" };
const lines = new Map();
let job = null;
let letter = null;

function keyOf(line) {
  const place = `${line.generation}.${line.timeline}.${line.index}`;
  return line.index < 0 && line.event !== "queued" ? `${place}.${line.event}` : `${place}.`;
}

function ordered() {
  const live = (one) => (one.index < 0 && one.event !== "queued" ? 1 : 0);
  return [...lines.values()].sort(
    (one, other) =>
      one.generation - other.generation ||
      live(one) - live(other) ||
      one.timeline - other.timeline ||
      one.index - other.index ||
      Number(one.event === "progressed") - Number(other.event === "progressed"),
  );
}

function take(line, fresh) {
  // What a running job told of itself is contained in what came after it.
  if (line.index >= 0) {
    for (const [key, one] of lines) {
      const ephemeral = one.index < 0 && one.event !== "queued";
      if (ephemeral && one.generation === line.generation) lines.delete(key);
    }
  }
  lines.set(keyOf(line), { ...line, fresh });
}

function said(line) {
  switch (line.event) {
    case "queued": {
      const told = [`lane ${line.lane}, partition ${line.partition}`];
      if (line.not_before) told.push(", not before ", when(line.not_before));
      if (line.replay) told.push(`, replayed by ${line.replay.actor}: ${line.replay.because}`);
      if (line.changes?.length) told.push(changes(line.changes));
      return told;
    }
    case "started":
      return [`attempt ${line.attempt}, run ${line.run}, on ${line.worker}, release ${line.release}`];
    case "progressed":
      return [`${line.percent} % ${line.note}`];
    case "retrying":
      return [`attempt ${line.attempt} failed, again at `, when(line.due_at), error(line.error)];
    case "failed":
      return [error(line.error)];
    case "cancelled":
    case "discarded":
      return [`by ${line.actor}: ${line.because}`];
    default:
      return [];
  }
}

function changes(all) {
  const text = (value) => (value === null ? "nothing" : JSON.stringify(value));
  return make(
    "details",
    {},
    make("summary", {}, `${all.length} changed in the payload`),
    make(
      "pre",
      {},
      all.map((one) => `${one.path}: ${text(one.before)} → ${text(one.after)}`).join("\n"),
    ),
  );
}

function error(one) {
  const head = `${one.reason === one.type ? one.type : `${one.reason}: ${one.type}`}: ${one.message}`;
  const where = [one.place, ...(one.fields ?? [])].filter(Boolean).join(" · ");
  return make(
    "div",
    {},
    make("div", {}, head),
    where ? make("div", { class: "soft mono" }, where) : null,
    one.traceback
      ? make("details", {}, make("summary", {}, "Traceback"), make("pre", { tabindex: "0" }, one.traceback))
      : null,
  );
}

// How long it was in each state, generation by generation.
function strip(of) {
  const timed = of.filter((one) => one.at && !one.void && !one.inferred);
  const spans = [];
  timed.forEach((one, number) => {
    const kind = one.event === "queued" && one.not_before ? "scheduled" : AFTER[one.event];
    if (!kind) return;
    const next = timed[number + 1];
    const end = next ? secondsOf(next.at) : Date.now() / 1000;
    spans.push([kind, Math.max(0, end - secondsOf(one.at))]);
  });
  const total = spans.reduce((sum, [, seconds]) => sum + seconds, 0);
  if (!total) return null;
  const drawn = make("div", { class: "strip", role: "img" });
  for (const [kind, seconds] of spans) {
    const part = make("span", { class: kind, title: `${kind} ${lasting(seconds)}` });
    part.style.flexGrow = Math.sqrt(seconds / total);
    drawn.append(part);
  }
  const words = spans.map(([kind, seconds]) => `${kind} ${lasting(seconds)}`).join(", ");
  drawn.setAttribute("aria-label", words);
  return [drawn, make("p", { class: "soft" }, words)];
}

function showLife() {
  const generations = Map.groupBy
    ? Map.groupBy(ordered(), (one) => one.generation)
    : ordered().reduce((all, one) => all.set(one.generation, [...(all.get(one.generation) ?? []), one]), new Map());
  const shown = [...generations].map(([generation, of]) =>
    make(
      "section",
      {},
      make("h3", {}, generation === 1 ? "Generation 1" : `Generation ${generation}, a replay`),
      strip(of),
      make(
        "ol",
        { class: "life" },
        of.map((line) =>
          make(
            "li",
            { class: `${line.event}${line.void ? " void" : ""}${line.fresh ? " new" : ""}` },
            make("div", {}, line.inferred ? "" : when(line.at), " ", make("strong", {}, line.event)),
            make("div", {}, said(line)),
          ),
        ),
      ),
    ),
  );
  fill("life", shown);
  for (const line of lines.values()) line.fresh = false;
}

function showState() {
  const now = job.state;
  document.title = `${job.type || "a job"} · ${now}`;
  fill("id", job.id);
  fill("head", job.type || "(its type is not known yet)");
  const more = job.waits_for ? `waits for ${job.waits_for}` : "";
  const progress = job.progress && now === "processing" ? `${job.progress.percent} % ${job.progress.note}` : "";
  fill("state", state(now), " ", job.discarded ? "discarded " : "", progress || more);
  facts("facts", [
    ["Entity", job.entity],
    ["Tenant", job.tenant],
    ["Lane", job.lane],
    ["Generation", job.generation],
    ["Attempts", `${job.attempts}${job.runs > job.attempts ? ` (${job.runs} runs)` : ""}`],
    ["Worker", job.worker],
    ["Ended", job.ended_at ? when(job.ended_at) : null],
    ["Batch", job.batch],
    ["Trace", job.trace ? make("code", {}, job.trace.traceparent) : null],
  ]);
  showActions();
}

function showActions() {
  const made = [];
  if (!ENDED.has(job.state)) made.push(make("button", { class: "grave", onclick: cancel }, "Cancel…"));
  if (letter) {
    made.push(make("button", { class: "main", onclick: replay }, "Replay…"));
    made.push(make("button", { class: "grave", onclick: discard }, "Discard…"));
  }
  const before = document.activeElement?.textContent;
  fill("actions", made);
  made.find((one) => one.textContent === before)?.focus();
}

async function act(title, saying, action, grave, where) {
  const because = await askForReason(title, saying, action, { grave });
  if (because === null) return;
  try {
    await tell(where, { because });
    problem(null);
    letter = null;
    restart();
  } catch (failed) {
    problem(failed);
  }
}

const cancel = () =>
  act("Cancel it?", "A running handler is stopped and rolled back.", "Cancel the job", true, `${path}/cancel`);
const replay = () =>
  act("Replay it?", "It starts anew, under the same id.", "Replay", false, `/v1/dead-letters/${letter}/replay`);
const discard = () =>
  act(
    "Discard it?",
    "The dead letter is closed; an entity that it blocks goes on. A replay undoes it.",
    "Discard",
    true,
    `/v1/dead-letters/${letter}/discard`,
  );

async function explain() {
  const why = await ask(`${path}/explanation`);
  const place = fill("why", why.sentence.charAt(0).toUpperCase() + why.sentence.slice(1), ".");
  place.hidden = false;
  letter = job.discarded ? null : (why.cause === "ended" || why.cause === "blocking") && why.details.dead_letter;
  showActions();
}

// Payload and result are hidden until somebody asks for them.
function showContents() {
  const payload = make("details", {}, make("summary", {}, "Show the payload"));
  payload.addEventListener("toggle", async () => {
    if (!payload.open || payload.dataset.asked) return;
    payload.dataset.asked = "yes";
    try {
      payload.append(json((await ask(`${path}/payload`)).payload));
    } catch (failed) {
      delete payload.dataset.asked;
      payload.open = false;
      problem(failed);
    }
  });
  const result = make("details", { id: "result", hidden: true }, make("summary", {}, "Show the result"));
  result.addEventListener("toggle", async () => {
    if (!result.open || result.dataset.asked) return;
    result.dataset.asked = "yes";
    result.append(json((await ask(path)).result ?? null));
  });
  fill("contents", payload, result);
}

function showLegend() {
  const words = [["queued", "waits"], ["processing", "runs"], ["retrying", "waits for the next attempt"]];
  const items = words.map(([kind, word]) =>
    make("li", {}, make("span", { class: "strip" }, make("span", { class: kind })), word),
  );
  fill("legend", items);
}

let running = null;
let pending = null;

function restart() {
  running?.abort();
  running = new AbortController();
  watch(running.signal).catch(problem);
}

function redraw() {
  // Several events come at once: they are drawn together.
  pending ??= requestAnimationFrame(() => {
    pending = null;
    if (!job) return;
    showLife();
    showState();
    document.getElementById("result").hidden = job.state !== "complete";
  });
}

async function watch(signal) {
  let first = true;
  const explaining = setInterval(() => {
    if (job && !ENDED.has(job.state) && !document.hidden) explain().catch(problem);
  }, 3000);
  signal.addEventListener("abort", () => clearInterval(explaining), { once: true });
  try {
    await follow(
      `${path}/events`,
      (name, data) => {
        if (name === "transition") take(data, !first);
        if (name === "state") {
          job = { ...data, history: undefined };
          first = false;
          explain().catch(problem);
        }
        redraw();
        return name !== "end";
      },
      signal,
    );
  } finally {
    clearInterval(explaining);
  }
}

showContents();
showLegend();
restart();
