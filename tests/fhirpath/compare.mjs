// Evaluates conditions with fhirpath.js: one JSON object in, one list of answers out.
//
// The functions that are ours are written anew here, from what they promise and not
// from how the other engine has them, so that a fault in one shows as a difference.
import { readFileSync } from "node:fs";
import fhirpath from "fhirpath";
import r4 from "fhirpath/fhir-context/r4/index.js";

const { valueSets, cases } = JSON.parse(readFileSync(0, "utf8"));
const sets = new Map(
  Object.entries(valueSets).map(([name, pairs]) => [
    name,
    pairs.map(([system, code]) => ({ system, code })),
  ]),
);
const DAY = 86400000;
const NOT_DONE = ["not-done", "cancelled", "stopped", "entered-in-error", "registered", "unknown"];
const DONE = [
  "performedDateTime", "performedPeriod.end", "performedPeriod.start",
  "occurrenceDateTime", "occurrencePeriod.end", "effectiveDateTime",
  "effectivePeriod.end", "effectivePeriod.start", "effectiveInstant", "issued",
  "period.end", "actualPeriod.end", "recordedDate",
];
const CODED = ["code", "type", "vaccineCode", "medicationCodeableConcept"];
const STATUS = {
  planned: "planned", arrived: "admitted", triaged: "admitted",
  "in-progress": "admitted", onleave: "admitted", "on-hold": "admitted",
  finished: "discharged", discharged: "discharged", completed: "discharged",
  cancelled: "cancelled", discontinued: "cancelled", "entered-in-error": "undone",
};
const ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const UNITS = { d: 1, day: 1, days: 1, "": 1, wk: 7, mo: 30 };
let here; // the case that is being evaluated

const list = (value) => (value == null ? [] : Array.isArray(value) ? value : [value]);
const data = (item) => fhirpath.util.valData(item);
const text = (item) => {
  const value = data(item);
  return typeof value === "string" ? value : String(value.asStr ?? value);
};
const at = (resource, path) =>
  path.split(".").reduce(
    (found, name) => found.flatMap((one) => (one && typeof one === "object" ? list(one[name]) : [])),
    [resource],
  );

// A date or dateTime as [first moment, moment after its end] in milliseconds; UTC.
function bounds(value) {
  const partial = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$/.exec(value);
  if (!partial) {
    const zoned = /(Z|[+-]\d{2}:?\d{2})$/i.test(value) ? value : `${value}Z`;
    const moment = Date.parse(zoned);
    if (Number.isNaN(moment)) throw new Error("no date");
    return [moment, moment];
  }
  const [year, month, day] = partial.slice(1).map((part) => (part ? Number(part) : 0));
  const first = Date.UTC(year, (month || 1) - 1, day || 1);
  if (day) return [first, first + DAY];
  return [first, month ? Date.UTC(year, month, 1) : Date.UTC(year + 1, 0, 1)];
}

function codings(value) {
  return list(value).flatMap((item) => {
    if (!item || typeof item !== "object") return [];
    const own = item.code && typeof item.code !== "object"
      ? [{ system: String(item.system ?? ""), code: String(item.code) }] : [];
    return [...own, ...codings(item.coding), ...codings(item.concept)];
  });
}

function members(name) {
  const found = sets.get(name.split("|")[0]);
  if (!found) throw new Error("no such value set");
  return found;
}

const isIn = (set, coding) =>
  set.some((one) => one.system === coding.system && (one.code.endsWith("*")
    ? coding.code.startsWith(one.code.slice(0, -1)) : one.code === coding.code));

const isDone = (item) => {
  const value = data(item);
  return value && typeof value === "object" && !NOT_DONE.includes(value.status);
};

function within(items, days) {
  return items.filter((item) => {
    if (!isDone(item)) return false;
    const dated = DONE.map((path) => at(data(item), path)[0]).find((one) => typeof one === "string");
    return dated === undefined || here.now - bounds(dated)[1] <= days * DAY;
  });
}

function before(items, days) {
  return items.filter((item) => {
    if (!isDone(item)) return false;
    const dated = DONE.map((path) => at(data(item), path)[0]).find((one) => typeof one === "string");
    return dated !== undefined && here.now - bounds(dated)[1] > days * DAY;
  });
}

function doneAt(item) {
  for (const path of DONE) {
    const value = at(data(item), path)[0];
    if (typeof value === "string") {
      try {
        return bounds(value)[0];
      } catch {
        continue;
      }
    }
  }
  return undefined;
}

function since(items, day) {
  const [month, number] = day.split("-").map(Number);
  const now = new Date(here.now);
  const fraction = now.getUTCMilliseconds();
  let first = Date.UTC(now.getUTCFullYear(), month - 1, number, 0, 0, 0, fraction);
  if (first > here.now) {
    first = Date.UTC(now.getUTCFullYear() - 1, month - 1, number, 0, 0, 0, fraction);
  }
  return within(items, (here.now - first - 1000) / DAY);
}

function latest(items) {
  let best = [];
  let when = -Infinity;
  for (const item of items.filter(isDone)) {
    const moment = doneAt(item);
    if (moment !== undefined && moment > when) [best, when] = [[item], moment];
  }
  return best;
}

function supplied(dispense) {
  const quantity = dispense.daysSupply ?? {};
  const unit = String(quantity.code || quantity.unit || "");
  if (typeof quantity.value !== "number") return 0;
  return Math.max(0, Math.round(quantity.value * (UNITS[unit] ?? 0)));
}

function covered(items, days) {
  const last = Math.floor(here.now / DAY);
  const fills = items.map(data)
    .filter((item) => item.status === "completed" && typeof item.whenHandedOver === "string")
    .map((item) => [Math.floor(bounds(item.whenHandedOver)[0] / DAY), supplied(item)])
    .filter(([handed, supply]) => handed >= last - days && handed <= last && supply)
    .sort((one, other) => one[0] - other[0] || one[1] - other[1]);
  if (new Set(fills.map(([handed]) => handed)).size < 2) return [];
  const start = fills[0][0];
  if (last - start < 91) return [];
  const taken = new Set();
  let free = start;
  for (const [handed, supply] of fills) {
    const begin = Math.max(handed, free);
    free = begin + supply;
    for (let day = begin; day < Math.min(free, last); day += 1) taken.add(day);
  }
  return [Math.round((taken.size / (last - start)) * 10000) / 10000];
}

function resolve(item) {
  const value = data(item);
  const name = typeof value === "string" ? value : String(value?.reference ?? "");
  if (name.startsWith("#")) {
    return list(here.focus.contained).filter((one) => one.id === name.slice(1)).slice(0, 1);
  }
  const found = /^([A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64})(?:\/_history\/\S+)?$/.exec(name);
  return found && here.chart[found[1]] ? [here.chart[found[1]]] : [];
}

function encounterClass(item) {
  const found = codings(data(item)?.class);
  const standard = found.filter((one) => one.system === ACT_CODE);
  return ([...standard, ...found][0] ?? { code: "" }).code;
}

const nodes = (fn, arity) => ({ fn, arity, internalStructures: true });
const userInvocationTable = {
  asHours: nodes((items) => items.map((item) => bounds(text(item))[0] / 3600000), { 0: [] }),
  coded: nodes((items, name) => {
    const set = members(name);
    return items.filter((item) =>
      CODED.flatMap((field) => codings(data(item)?.[field])).some((one) => isIn(set, one)));
  }, { 1: ["String"] }),
  memberOf: nodes((items, name) => {
    const set = members(name);
    return items.map((item) => {
      const value = data(item);
      return typeof value === "string"
        ? set.some((one) => one.code === value)
        : codings(value).some((one) => isIn(set, one));
    });
  }, { 1: ["String"] }),
  resolve: nodes((items) => items.flatMap(resolve), { 0: [] }),
  doneWithin: nodes(within, { 1: ["Number"] }),
  doneBefore: nodes(before, { 1: ["Number"] }),
  doneSince: nodes(since, { 1: ["String"] }),
  latest: nodes(latest, { 0: [] }),
  proportionCovered: nodes(covered, { 1: ["Number"] }),
  statusWord: nodes((items) => items.map((item) => STATUS[data(item).status] ?? "other"), { 0: [] }),
  encounterClass: nodes((items) => items.map(encounterClass), { 0: [] }),
};

const programs = new Map();
function program(expression) {
  if (!programs.has(expression)) {
    programs.set(expression, fhirpath.compile(expression, r4, { userInvocationTable }));
  }
  return programs.get(expression);
}

function answer(expression, one) {
  try {
    const found = program(expression)(one.focus, { ...one.variables });
    if (found.length === 0) return "empty";
    return found.length === 1 && typeof found[0] === "boolean" ? String(found[0]) : "other";
  } catch (error) {
    return `error: ${error.message ?? error}`.slice(0, 200);
  }
}

const answers = cases.map((one) => {
  here = { ...one, now: Date.parse(one.now) };
  return one.expressions.map((expression) => answer(expression, one));
});
process.stdout.write(JSON.stringify(answers));
