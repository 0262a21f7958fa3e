// One plan, while it runs.

import { again, ask, askForReason, tell } from "./asking.js";
import { count, facts, fill, make, problem, rate, state, when } from "./building.js";

const SECONDS = 1;
const id = location.pathname.split("/").pop();
const path = `/v1/plans/${encodeURIComponent(id)}`;
const VERBS = { replay: "Replay", discard: "Discard" };
let seen = null;

async function act(title, said, word, verb) {
  const because = await askForReason(title, said, word, { grave: verb === "stop" });
  if (because === null) return;
  try {
    show(await tell(`${path}/${verb}`, { because }));
    if (verb === "resume") begin();
  } catch (error) {
    problem(error);
  }
}

const stop = () => act("Stop it?", "What is done stays done; the rest waits until it is resumed.", "Stop", "stop");
const resume = () => act("Resume it?", "It goes on where it stopped, and does nothing twice.", "Resume", "resume");

function actions(plan) {
  if (plan.state === "running") return make("button", { class: "grave", onclick: stop }, "Stop…");
  if (plan.state === "stopped") return make("button", { class: "main", onclick: resume }, "Resume…");
  return null;
}

function sum(plan) {
  const told = [`${count(plan.done)} of ${count(plan.letters)} done`];
  if (plan.refused) told.push(`${count(plan.refused)} refused`);
  if (plan.deciding && plan.state === "running") told.push("the ends of the first ones decide whether the others follow");
  return `${told.join(", ")}.`;
}

function show(plan) {
  const before = seen;
  seen = plan;
  document.title = `${VERBS[plan.kind] ?? plan.kind} ${plan.id} · ${plan.state}`;
  fill("head", `${VERBS[plan.kind] ?? plan.kind} ${count(plan.letters)} dead letters: ${plan.selection}`);
  if (before?.state !== plan.state) fill("state", state(plan.state));
  const bar = document.getElementById("progress");
  bar.max = Math.max(1, plan.letters);
  bar.value = plan.done + plan.refused;
  fill("sum", sum(plan));
  if (before?.state !== plan.state) fill("actions", actions(plan));
  facts("facts", [
    ["Plan", plan.id],
    ["By", plan.by],
    ["Why", plan.because],
    ["Made", when(plan.at)],
    ["First a few", plan.canary === null ? null : `${count(plan.canary)}, stops above ${Math.round(100 * (plan.stop_above ?? 0))} % failed`],
    ["At most", plan.rate === null ? null : `${rate(plan.rate)} a second`],
    ["Lane", plan.priority],
    ["Run by", plan.runner],
    ["Ended", plan.ended_at ? when(plan.ended_at) : null],
    ["Ended by", plan.ended_by],
    ["Because", plan.ended_because],
  ]);
}

function begin() {
  again(
    SECONDS,
    async () => {
      show(await ask(path));
      return seen.state === "running";
    },
    problem,
  );
}

begin();
