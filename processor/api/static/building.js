// How is something shown? Elements, times and numbers; text is never taken for markup.

export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((one) => one !== null && one !== undefined));
  return made;
}

const REACHED = "a, button, input, summary, [tabindex]";

// What had the focus has it again: whoever works with keys is not thrown out by what is new.
export function fill(id, ...children) {
  const place = document.getElementById(id);
  const at = [...place.querySelectorAll(REACHED)].indexOf(document.activeElement);
  place.replaceChildren(...children.flat().filter((one) => one !== null && one !== undefined));
  if (at >= 0) place.querySelectorAll(REACHED)[at]?.focus({ preventScroll: true });
  return place;
}

const numbers = new Intl.NumberFormat();
const rates = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

export const count = (value) => numbers.format(value);
export const rate = (value) => rates.format(value);

export function counted(number, one, many) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function lasting(seconds) {
  if (seconds < 0.001) return "0 s";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${rate(seconds)} s`;
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const at = units.findIndex(([, size]) => seconds >= size);
  const [name, size] = units[at];
  const whole = Math.floor(seconds / size);
  if (at === units.length - 1) return `${whole} s`;
  const [next, smaller] = units[at + 1];
  const rest = Math.floor((seconds - whole * size) / smaller);
  return rest ? `${whole} ${name} ${rest} ${next}` : `${whole} ${name}`;
}

export const secondsOf = (iso) => Date.parse(iso) / 1000;

export function when(iso) {
  if (!iso) return "";
  const at = new Date(iso);
  if (Number.isNaN(at.valueOf())) return iso;
  const today = at.toDateString() === new Date().toDateString();
  const clock = at.toLocaleTimeString(undefined, { hour12: false });
  const said = today ? clock : `${at.toLocaleDateString()} ${clock}`;
  return make("time", { datetime: iso, title: iso }, said);
}

export function ago(iso, now = Date.now() / 1000) {
  if (!iso) return "";
  const text = `${lasting(Math.max(0, now - secondsOf(iso)))} ago`;
  return make("time", { datetime: iso, title: iso }, text);
}

export const state = (word) => make("span", { class: `state ${word}` }, word);

export const jobLink = (id, text = id) => make("a", { href: `/jobs/${id}`, class: "mono" }, text);

// Columns are [head, "number" or "tight" or "", cell of a row].
export function table(name, columns, rows, none, attributesOf = () => ({})) {
  if (!rows.length) return make("p", { class: "empty" }, none);
  const head = columns.map(([text, kind]) => make("th", { scope: "col", class: kind || null }, text));
  const body = rows.map((row) =>
    make(
      "tr",
      attributesOf(row),
      columns.map(([, kind, cell]) => make("td", { class: kind || null }, cell(row) ?? "")),
    ),
  );
  return make(
    "table",
    { "aria-label": name },
    make("thead", {}, make("tr", {}, head)),
    make("tbody", {}, body),
  );
}

export function facts(id, pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  fill(id, shown.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

export function problem(error) {
  if (error?.name === "AbortError") return;
  const told = error ? [error.message] : [];
  for (const field of error?.fields ?? []) told.push(`${field.path}: ${field.said}`);
  fill("problem", told.map((line) => make("div", {}, line)));
}

export const json = (value) => make("pre", { tabindex: "0" }, JSON.stringify(value, null, 2));
