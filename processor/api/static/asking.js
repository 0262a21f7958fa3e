// How is the API asked? With the token of this tab, where one is needed; it is kept nowhere else.

import { make } from "./building.js";

const KEY = "jobs-token";
const token = () => sessionStorage.getItem(KEY);
let waiting = null;

export class Problem extends Error {
  constructor(status, told) {
    super(told.detail ?? told.title ?? `The API answers ${status}.`);
    this.name = "Problem";
    this.status = status;
    this.fields = told.fields ?? [];
  }
}

function headers(more = {}) {
  return token() ? { ...more, Authorization: `Bearer ${token()}` } : more;
}

async function refused(answer) {
  let told = {};
  try {
    told = await answer.json();
  } catch {
    // What is no JSON tells nothing.
  }
  return new Problem(answer.status, told);
}

async function fetched(path, options) {
  for (;;) {
    let answer;
    try {
      answer = await fetch(path, { ...options, headers: headers(options.headers) });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, { detail: "The API does not answer." });
    }
    if (answer.status !== 401) return answer;
    await askForToken(token() ? "That token is not known, or has expired." : "");
  }
}

export async function ask(path, { method = "GET", body, signal } = {}) {
  const options = { method, signal, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  const answer = await fetched(path, options);
  if (!answer.ok) throw await refused(answer);
  return answer.status === 204 ? null : answer.json();
}

export const tell = (path, body) => ask(path, { method: "POST", body });

// Server-sent events, read by fetch since EventSource cannot send a token. Goes on from the last id
// until `onEvent` answers false; returns then.
export async function follow(path, onEvent, signal) {
  let last = null;
  let pause = 2000;
  while (!signal.aborted) {
    try {
      const sent = { Accept: "text/event-stream" };
      if (last !== null) sent["Last-Event-ID"] = last;
      const answer = await fetched(path, { signal, headers: sent });
      if (answer.status === 204) return;
      if (!answer.ok) throw await refused(answer);
      for await (const event of eventsOf(answer.body, signal)) {
        if (event.retry) pause = event.retry;
        if (event.id !== undefined) last = event.id;
        if (event.data !== undefined && onEvent(event.name, JSON.parse(event.data)) === false) return;
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error instanceof Problem && error.status >= 400 && error.status < 500) throw error;
    }
    await new Promise((done) => setTimeout(done, pause));
  }
}

async function* eventsOf(stream, signal) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  signal.addEventListener("abort", () => reader.cancel().catch(() => {}), { once: true });
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      yield eventOf(text.slice(0, end));
      text = text.slice(end + 2);
    }
  }
}

function eventOf(block) {
  const event = { name: "message" };
  for (const line of block.split("\n")) {
    const at = line.indexOf(": ");
    if (at < 1) continue;
    const [field, value] = [line.slice(0, at), line.slice(at + 2)];
    if (field === "event") event.name = value;
    else if (field === "id") event.id = value;
    else if (field === "retry") event.retry = Number(value);
    else if (field === "data") event.data = event.data === undefined ? value : `${event.data}\n${value}`;
  }
  return event;
}

// Again and again, while somebody looks; the page tells what went wrong.
export function again(seconds, look, onProblem) {
  const round = async () => {
    let goes = true;
    if (!document.hidden) {
      try {
        goes = (await look()) !== false;
        onProblem(null);
      } catch (error) {
        onProblem(error);
        goes = !(error instanceof Problem) || error.status === 0 || error.status >= 500;
      }
    }
    if (goes) setTimeout(round, seconds * 1000);
  };
  return round();
}

function askForToken(said) {
  waiting ??= new Promise((done) => {
    const field = make("input", { id: "token", type: "password", autocomplete: "off", required: true });
    const box = make(
      "dialog",
      { "aria-labelledby": "token-name" },
      make(
        "form",
        {
          method: "dialog",
          onsubmit: () => {
            sessionStorage.setItem(KEY, field.value.trim());
            waiting = null;
            done();
          },
        },
        make("h2", { id: "token-name" }, "Who are you?"),
        make("p", {}, said || "This API needs a token. It stays in this tab, and is gone with it."),
        make("label", { for: "token" }, "Token"),
        field,
        make("div", { class: "actions" }, make("button", { class: "main" }, "Go on")),
      ),
    );
    box.addEventListener("cancel", (event) => event.preventDefault());
    box.addEventListener("close", () => box.remove());
    document.body.append(box);
    box.showModal();
  });
  return waiting;
}

// A dialog that asks for a reason, and for whatever `fields` there are; null where nobody went on.
export function askForReason(title, said, action, { grave = false, fields = [] } = {}) {
  return new Promise((done) => {
    const because = make("textarea", { id: "because", required: true, maxlength: "1000", rows: "2" });
    const box = make(
      "dialog",
      { "aria-labelledby": "reason-name" },
      make(
        "form",
        { method: "dialog" },
        make("h2", { id: "reason-name" }, title),
        make("p", {}, said),
        ...fields,
        make("label", { for: "because" }, "Why? It is kept beside your name."),
        because,
        make(
          "div",
          { class: "actions" },
          make("button", { value: "go", class: grave ? "grave" : "main" }, action),
          make("button", { value: "", formnovalidate: true }, "Leave it"),
        ),
      ),
    );
    box.addEventListener("close", () => {
      box.remove();
      done(box.returnValue === "go" ? because.value.trim() : null);
    });
    document.body.append(box);
    box.showModal();
    (fields.length ? box.querySelector("input, select, textarea") : because).focus();
  });
}
