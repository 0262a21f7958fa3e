// What did jobs die of, and what is to be done about many of them?

import { again, ask, askForReason, tell } from "./asking.js";
import { ago, count, counted, fill, jobLink, make, problem, state, table, when } from "./building.js";

const SECONDS = 3;
const PAGE = 50;
let chosen = null;
let shown = [];
let next = null;

const same = (one, other) => one && other && one.type === other.type && one.place === other.place;

const named = (one) => `${one.type || "(unreadable)"}${one.place ? ` at ${one.place}` : ""}`;

function showGroups(groups) {
  fill(
    "groups",
    table(
      "Dead letters by group",
      [
        ["Type", "", (one) => make("button", { onclick: () => choose(one) }, one.type || "(unreadable)")],
        ["Place", "mono", (one) => one.place],
        ["Release", "", (one) => one.release ?? ""],
        ["Tenants", "", (one) => tenants(one)],
        ["Open", "number", (one) => count(one.letters)],
        ["Overtaken", "number", (one) => (one.overtaken ? count(one.overtaken) : "")],
        ["First", "tight", (one) => ago(one.first_at)],
        ["Last", "tight", (one) => ago(one.last_at)],
      ],
      groups,
      "No dead letter is open.",
      (one) => ({ "aria-selected": String(Boolean(same(one, chosen))) }),
    ),
  );
}

function tenants(one) {
  const more = (one.tenant_count ?? 0) - (one.tenants?.length ?? 0);
  return `${(one.tenants ?? []).join(", ")}${more > 0 ? ` and ${count(more)} more` : ""}`;
}

function showPlans(plans) {
  fill(
    "plans",
    table(
      "Plans",
      [
        ["Plan", "", (one) => make("a", { href: `/plans/${one.id}` }, `${one.kind} ${one.id}`)],
        ["Of", "", (one) => one.selection],
        ["State", "", (one) => state(one.state)],
        ["Done", "number", (one) => `${count(one.done)} of ${count(one.letters)}`],
        ["By", "", (one) => one.by],
        ["Why", "", (one) => one.because],
        ["Since", "tight", (one) => ago(one.at)],
      ],
      plans,
      "No plan was made yet.",
    ),
  );
}

function query(more = {}) {
  const asked = new URLSearchParams({ limit: PAGE, ...more });
  if (chosen?.type) asked.set("type", chosen.type);
  if (chosen?.place) asked.set("place", chosen.place);
  return asked;
}

async function choose(group) {
  chosen = group;
  shown = [];
  next = null;
  const asked = new URLSearchParams(group ? { type: group.type, place: group.place } : {});
  history.replaceState(null, "", asked.size ? `?${asked}` : location.pathname);
  document.getElementById("chosen").hidden = !group;
  if (!group) return;
  fill("chosen-name", named(group));
  try {
    await more();
  } catch (error) {
    problem(error);
  }
}

async function more() {
  const page = await ask(`/v1/dead-letters?${query(next ? { after: next } : {})}`);
  shown = shown.concat(page.letters);
  next = page.next;
  showLetters();
}

function showLetters() {
  const last = (one) => one.errors.at(-1);
  fill(
    "letters",
    table(
      "Dead letters",
      [
        ["Job", "tight", (one) => jobLink(one.job, `${one.job.slice(0, 8)}…${one.job.slice(-4)}`)],
        ["Entity", "", (one) => one.entity],
        ["Died", "tight", (one) => when(one.died_at)],
        ["Attempts", "number", (one) => one.errors.length],
        ["Error", "", (one) => (last(one) ? `${last(one).type}: ${last(one).message}` : one.reason)],
      ],
      shown,
      "None of them is open any more.",
    ),
  );
  document.getElementById("more").hidden = !next;
}

function field(id, text, attributes, said) {
  const input = make("input", { id, ...attributes });
  return make("div", {}, make("label", { for: id }, text), input, said ? make("div", { class: "soft" }, said) : null);
}

async function plan() {
  const selection = { type: chosen.type || null, place: chosen.place || null };
  try {
    const found = await tell("/v1/plans/preview", { selection });
    if (!found.letters) {
      await choose(null);
      return;
    }
    const kind = make(
      "select",
      { id: "kind" },
      make("option", { value: "replay" }, "Replay them"),
      make("option", { value: "discard" }, "Discard them"),
    );
    const fields = [
      make("label", { for: "kind" }, "What is to be done"),
      kind,
      make(
        "div",
        { class: "pair" },
        field("canary", "A few first", { type: "number", min: 1, max: found.letters, placeholder: "none" }),
        field("above", "Stop above, % failed", { type: "number", min: 0, max: 100, placeholder: "10" }),
        field("rate", "At most, a second", { type: "number", min: 0.1, step: "any", placeholder: "no limit" }),
      ),
    ];
    const text = `${counted(found.letters, "dead letter", "dead letters")} of ${counted(found.entities, "entity", "entities")}: ${named(chosen)}. The set is frozen now; within an entity the order stays.`;
    const number = (id) => {
      const value = fields[2].querySelector(`#${id}`).value;
      return value === "" ? null : Number(value);
    };
    const because = await askForReason("Make a plan", text, "Make it", { fields });
    if (because === null) return;
    const canary = number("canary");
    const made = await tell("/v1/plans", {
      selection,
      because,
      kind: kind.value,
      canary,
      stop_above: canary === null ? null : (number("above") ?? 10) / 100,
      rate: number("rate"),
      expect: found.letters,
    });
    location.assign(`/plans/${made.id}`);
  } catch (error) {
    problem(error);
  }
}

async function look() {
  const [groups, plans] = await Promise.all([ask("/v1/dead-letters/groups"), ask("/v1/plans?limit=20")]);
  showGroups(groups.groups);
  showPlans(plans.plans);
}

document.getElementById("make").addEventListener("click", plan);
document.getElementById("all").addEventListener("click", () => choose(null));
document.getElementById("more").addEventListener("click", () => more().catch(problem));
const asked = new URLSearchParams(location.search);
if (asked.has("type")) choose({ type: asked.get("type"), place: asked.get("place") ?? "" });
again(SECONDS, look, problem);
