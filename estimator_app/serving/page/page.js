"use strict";
// Shows /models.json every other second, and asks models through the REST API.

const SECONDS = 2;
const cards = new Map(); // model's name -> its card

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function row(cells) {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}

function duration(usec) {
  if (usec < 1000) return `${usec.toFixed(0)} µs`;
  return usec < 1e6 ? `${(usec / 1000).toPrecision(3)} ms` : `${(usec / 1e6).toPrecision(3)} s`;
}

function shapeText(shape) {
  return shape === null ? "[...]" : `[${shape.map((size) => (size === null ? "?" : size)).join(", ")}]`;
}

// ---------------------------------------------------------------------------------- signatures

// The JSON of a TensorInfo -> {dtype, shape}.
function spec(info) {
  const shape = info.tensor_shape.unknown_rank ? null : info.tensor_shape.dim.map((dim) => (Number(dim.size) < 0 ? null : Number(dim.size)));
  return { dtype: info.dtype.replace("DT_", "").toLowerCase(), shape };
}

// Whether the inputs of a signature have a first axis of rows; the others are asked by columns.
function inRows(inputs) {
  return Object.values(inputs).every(({ shape }) => shape === null || (shape.length > 0 && shape[0] === null));
}

// A value of this type and shape to begin with, as the text of a field.
function example({ dtype, shape }) {
  const one = dtype === "string" ? '""' : dtype === "bool" ? "false" : /^(float|double|half)/.test(dtype) ? "0.0" : "0";
  if (!shape || !shape.length) return dtype === "string" ? "" : one;
  return shape.reduceRight((inner, size) => `[${Array(size === null ? 1 : size).fill(inner).join(", ")}]`, one);
}

// What a field says, as JSON: text of a scalar string stands for itself, all else is JSON already.
function written(text, { dtype, shape }) {
  const plain = dtype === "string" && !/^\s*[[{"]/.test(text);
  return plain ? JSON.stringify(text) : text.trim() || (dtype === "string" ? '""' : "null");
}

// Values of a feature of an Example: commas part them; a float needs its point, or it would be an integer.
function feature(text, { dtype, shape }) {
  const single = shape !== null && shape.reduce((a, b) => a * b, 1) === 1;
  const values = dtype === "string" && single ? [text] : text.split(",").map((value) => value.trim());
  const json = values.map((value) => {
    if (dtype === "string") return JSON.stringify(value);
    return dtype === "float32" && /^[+-]?\d+$/.test(value) ? `${value}.0` : value;
  });
  return `[${json.join(", ")}]`;
}

// The verb and the body of a question: fields is [name, spec, text] of each field.
function question(signature, name, fields) {
  const members = [`"signature_name": ${JSON.stringify(name)}`];
  const pairs = fields.filter(([, , text]) => !signature.examples || text.trim() !== "")
    .map(([key, kind, text]) => `${JSON.stringify(key)}: ${signature.examples ? feature(text, kind) : written(text, kind)}`);
  const object = `{${pairs.join(", ")}}`;
  if (signature.examples) members.push(`"examples": [${object}]`);
  else members.push(signature.rows ? `"instances": [${object}]` : `"inputs": ${object}`);
  return { verb: signature.examples || "predict", body: `{${members.join(", ")}}` };
}

function signatureOf(definition, features) {
  const inputs = Object.fromEntries(Object.entries(definition.inputs).map(([name, info]) => [name, spec(info)]));
  const outputs = Object.fromEntries(Object.entries(definition.outputs).map(([name, info]) => [name, spec(info)]));
  const verb = { "tensorflow/serving/classify": "classify", "tensorflow/serving/regress": "regress" }[definition.method_name];
  if (verb && Object.keys(features).length) return { method: definition.method_name, examples: verb, inputs: features, outputs };
  const rows = inRows(inputs);
  const shown = rows
    ? Object.fromEntries(Object.entries(inputs).map(([name, { dtype, shape }]) => [name, { dtype, shape: shape && shape.slice(1), whole: shape }]))
    : inputs;
  return { method: definition.method_name, rows, inputs: shown, outputs };
}

// --------------------------------------------------------------------------------------- a card

class Card {
  constructor(name) {
    this.name = name;
    this.signatures = {};
    this.root = document.getElementById("model").content.firstElementChild.cloneNode(true);
    this.find(".name").textContent = name;
    this.find(".version").addEventListener("change", () => this.describe());
    this.find(".signature").addEventListener("change", () => this.showFields());
    this.find("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  path(version) {
    return `v1/models/${encodeURIComponent(this.name)}/versions/${version}`;
  }

  show(model) {
    this.versions = model.versions;
    this.find(".wide").textContent = model.versions.some(({ error }) => error) ? "error" : "";
    this.find(".versions").replaceChildren(...model.versions.map(({ version, state, error }) => {
      const badge = element("span", state, `state ${error ? "failed" : state}`);
      const cell = document.createElement("td");
      cell.append(badge);
      return row([element("td", version), cell, element("td", error, "error")]);
    }));
    const counts = Object.entries(model.requests);
    this.find(".counts").replaceChildren(...(counts.length
      ? counts.map(([status, count]) => element("span", `${status} ${count}`))
      : [element("span", "none yet", "hint")]));
    this.find(".latency").hidden = !model.latencies.length;
    this.find(".latencies").replaceChildren(...model.latencies.map((cell) => row([
      element("td", cell.api), element("td", cell.entrypoint), element("td", cell.count, "number"),
      ...[cell.mean_usec, cell.p50_usec, cell.p99_usec].map((usec) => element("td", duration(usec), "number")),
    ])));
    const available = model.versions.filter(({ state }) => state === "AVAILABLE").map(({ version }) => version);
    this.find(".question").hidden = !available.length;
    if (this.available !== available.join()) {
      this.available = available.join();
      const select = this.find(".version");
      const before = select.value;
      select.replaceChildren(...available.map((version) => element("option", version)));
      if (available.includes(before)) select.value = before;
      else if (available.length) this.describe();
    }
  }

  async describe() {
    const version = this.find(".version").value;
    const response = await fetch(`${this.path(version)}/metadata`);
    if (!response.ok || version !== this.find(".version").value) return;
    const definitions = (await response.json()).metadata.signature_def.signature_def;
    const { features } = this.versions.find((entry) => entry.version === version);
    const usable = Object.entries(definitions).filter(([, definition]) => Object.keys(definition.inputs).length);
    this.signatures = Object.fromEntries(usable.map(([name, definition]) => [name, signatureOf(definition, features)]));
    const names = Object.keys(this.signatures).sort();
    const select = this.find(".signature");
    const before = select.value;
    select.replaceChildren(...names.map((name) => element("option", name)));
    select.value = names.includes(before) ? before : names.includes("serving_default") ? "serving_default" : names[0];
    this.showFields();
  }

  showFields() {
    const signature = this.signatures[this.find(".signature").value];
    if (!signature) return;
    const form = signature.examples ? "one Example by its features; an empty field is a missing feature"
      : signature.rows ? "one row, each value as JSON" : "whole inputs as JSON";
    this.find(".method").textContent = `${signature.method || "no method"}: ${form}`;
    this.find(".fields").replaceChildren(...Object.entries(signature.inputs).map(([name, kind]) => {
      const label = element("label", "", "field");
      const head = element("span", "");
      head.append(element("b", name), element("span", `${kind.dtype} ${shapeText(kind.whole || kind.shape)}`, "hint"));
      const input = document.createElement("input");
      input.name = name;
      input.autocomplete = "off";
      input.spellcheck = false;
      input.value = signature.examples ? "" : example(kind);
      label.append(head, input);
      return label;
    }));
    this.find(".outputs").replaceChildren(...Object.entries(signature.outputs).map(
      ([name, { dtype, shape }]) => element("li", `${name}  ${dtype} ${shapeText(shape)}`)));
    this.find(".answer").hidden = true;
  }

  async ask() {
    const name = this.find(".signature").value;
    const signature = this.signatures[name];
    const fields = [...this.root.querySelectorAll(".fields input")].map((input) => [input.name, signature.inputs[input.name], input.value]);
    const { verb, body } = question(signature, name, fields);
    const url = new URL(`${this.path(this.find(".version").value)}:${verb}`, document.baseURI);
    const button = this.find("button");
    button.disabled = true;
    const started = performance.now();
    try {
      const response = await fetch(url, { method: "POST", body });
      const text = await response.text();
      this.showAnswer(`${response.status} after ${duration((performance.now() - started) * 1000)}`, text, response.ok);
    } catch (error) {
      this.showAnswer("No answer", String(error), false);
    } finally {
      button.disabled = false;
    }
    this.find(".curl").textContent = `curl -d '${body.replaceAll("'", "'\\''")}' '${url}'`;
    refresh();
  }

  showAnswer(outcome, text, good) {
    this.find(".outcome").textContent = outcome;
    this.find(".outcome").classList.toggle("alarm", !good);
    this.find(".text").textContent = text;
    this.find(".answer").hidden = false;
  }
}

// ------------------------------------------------------------------------------------- the page

async function refresh() {
  const lead = document.getElementById("lead");
  try {
    const models = await (await fetch("models.json")).json();
    lead.textContent = `${models.length} ${models.length === 1 ? "model" : "models"} on ${location.host}`;
    lead.classList.remove("alarm");
    for (const model of models) {
      if (!cards.has(model.name)) cards.set(model.name, new Card(model.name));
      cards.get(model.name).show(model);
    }
    const names = models.map(({ name }) => name);
    for (const name of cards.keys()) if (!names.includes(name)) cards.delete(name);
    const shown = names.map((name) => cards.get(name).root);
    const main = document.getElementById("models");
    // Left alone if nothing has come or gone, so that a field keeps the cursor.
    if (shown.length !== main.children.length || shown.some((root, i) => root !== main.children[i])) main.replaceChildren(...shown);
  } catch (error) {
    lead.textContent = `The server does not answer: ${error}`;
    lead.classList.add("alarm");
  }
}

refresh();
setInterval(refresh, SECONDS * 1000);
