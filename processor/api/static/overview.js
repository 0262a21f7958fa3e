// How does everything stand, now and again two seconds later?

import { again, ask, askForReason, tell } from "./asking.js";
import { ago, count, counted, fill, jobLink, make, problem, rate, table, when } from "./building.js";

const SECONDS = 2;

function card(number, said, bad = false) {
  return make("li", { class: bad && number ? "bad" : null }, make("strong", {}, count(number)), said);
}

function group(one) {
  const query = new URLSearchParams({ type: one.type, place: one.place });
  return make("a", { href: `/dead-letters?${query}` }, one.type || "(unreadable)");
}

function until(hold) {
  if (hold.mode === "releasing") return `let out, ${count(hold.rate)} a second`;
  if (hold.mode === "probing") return ["a probe succeeds; the next one: ", hold.probe_at ? when(hold.probe_at) : "now"];
  return hold.until ? when(hold.until) : "it is released";
}

async function release(hold) {
  const said = `What waits for ${hold.kind} ${hold.value} goes on within a second.`;
  const because = await askForReason("Release it?", said, "Release");
  if (because === null) return;
  try {
    await tell("/v1/holds/release", { kind: hold.kind, value: hold.value, because });
    await look();
  } catch (error) {
    problem(error);
  }
}

function ranges(numbers) {
  const parts = [];
  for (const number of numbers) {
    const last = parts.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`)).join(", ");
}

function show(seen) {
  const now = Date.parse(seen.at) / 1000;
  const letters = seen.dead_letters.reduce((sum, one) => sum + one.letters, 0);
  const waiting = seen.lanes.reduce((sum, one) => sum + one.waiting, 0);
  fill("seen", make("span", { class: "pulse" }), "as of ", when(seen.at));
  fill(
    "cards",
    card(waiting, "records in the lanes"),
    card(seen.waiting_room, "jobs in the waiting room, about"),
    card(seen.retrying, "entities wait for a retry"),
    card(seen.blocked, "entities wait for an operator", true),
    card(letters, "open dead letters", true),
    card(seen.workers.workers.length, "workers"),
  );
  fill(
    "lanes",
    table(
      "Lanes",
      [
        ["Lane", "", (one) => one.lane],
        ["Waiting", "number", (one) => count(one.waiting)],
        ["Oldest", "tight", (one) => ago(one.oldest, now)],
        ["Jobs a second", "number", (one) => rate(one.rate)],
        ["Share", "number", (one) => `${Math.round(100 * one.share)} %`],
        ["", "", (one) => make("meter", { value: one.share, "aria-label": `Share of ${one.lane}` })],
      ],
      seen.lanes,
      "",
    ),
  );
  fill(
    "holds",
    table(
      "Holds",
      [
        ["What", "", (one) => `${one.kind} ${one.value}`],
        ["Release", "", (one) => one.release ?? "all"],
        ["Why", "", (one) => one.why],
        ["By", "", (one) => one.by],
        ["Since", "tight", (one) => ago(one.since, now)],
        ["Until", "", until],
        ["", "", (one) => make("button", { onclick: () => release(one) }, "Release…")],
      ],
      seen.held,
      "Nothing is held.",
    ),
  );
  fill(
    "letters",
    table(
      "Dead letters by group",
      [
        ["Type", "", group],
        ["Place", "mono", (one) => one.place],
        ["Open", "number", (one) => count(one.letters)],
        ["First", "tight", (one) => ago(one.first_at, now)],
        ["Last", "tight", (one) => ago(one.last_at, now)],
      ],
      seen.dead_letters,
      "No dead letter is open.",
    ),
  );
  showWorkers(seen.workers, now);
}

function showWorkers({ workers, without_owner: ownerless }, now) {
  const runs = workers.flatMap((one) => one.long_runs.map((run) => ({ ...run, worker: one.id })));
  fill(
    "workers",
    table(
      "Workers",
      [
        ["Worker", "mono", (one) => one.id.slice(0, 8)],
        ["Release", "", (one) => one.release],
        ["Partitions", "", (one) => ranges(one.partitions)],
        ["Types", "number", (one) => count(one.types.length)],
        ["Since", "tight", (one) => ago(one.started_at, now)],
        ["Beat", "number", (one) => `${rate(one.silent)} s ago`],
        ["", "", (one) => (one.leaving ? "leaving" : "")],
      ],
      workers,
      "No worker is known.",
    ),
    ownerless.length
      ? make("p", { class: "problem" }, `Without an owner: partitions ${ranges(ownerless)}.`)
      : null,
    runs.map((run) =>
      make("p", {}, jobLink(run.job), ` runs at ${run.worker.slice(0, 8)}, since `, when(run.since)),
    ),
  );
  document.title = `Jobs · ${counted(workers.length, "worker", "workers")}`;
}

async function look() {
  show(await ask("/v1/overview"));
}

again(SECONDS, look, (error) => {
  problem(error);
  if (error) fill("seen", make("span", { class: "pulse late" }), "not seen just now");
});
