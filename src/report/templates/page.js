"use strict";
// The browse view: one query at a time, its candidates by the rank under one objective.
const data = JSON.parse(document.getElementById("data").textContent);
const browser = document.getElementById("browser");
let chosen = 0, objective = 0;

function make(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function table(heads, rows) {
  const head = make("tr", {}, ...heads.map(h => make("th", { textContent: h })));
  return make("div", { className: "box" }, make("table", {}, head, ...rows));
}

function cells(values, className = "") {
  return make("tr", { className }, ...values.map(v =>
    make("td", typeof v === "number" ? { className: "n", textContent: v } : { textContent: v })));
}

function history(query) {
  const seen = query.history.map(([item, ts, type]) =>
    cells([new Date(ts * 1000).toISOString().slice(0, 19).replace("T", " "), data.types[type], item]));
  return table(["time", "event", "item"], seen.reverse());
}

const hits = query => query.positives.filter(([, , , rank]) => rank !== null && rank < data.k).length;

function truth(query) {
  const rows = query.positives.map(([item, o, poolRank, rank]) => {
    const where = rank === null ? "no candidate: in no list, or cut off the pool"
      : `rank ${rank + 1}${rank < data.k ? ", a hit" : ""} (pool rank ${poolRank + 1})`;
    const row = cells([data.objectives[o], item, where], rank !== null && rank < data.k ? "hit" : "");
    row.lastChild.className = "text";
    return row;
  });
  return table(["objective", "item", "rank"], rows);
}

function candidates(query) {
  const seen = new Set(query.history.map(([item]) => item));
  const rows = [...query.rows].sort((a, b) => a[3][objective] - b[3][objective]);
  const heads = ["rank", "item", "positive for", ...data.rankers[objective], "pool rank", "retriever: rank"];
  return table(heads, rows.map(([item, poolRank, lists, ranks, scores, objectives], n) => {
    const rank = ranks[objective];
    const by = lists.map(([retriever, r]) => `${data.retrievers[retriever]}: ${r + 1}`).join(", ");
    const positiveFor = objectives.map(o => data.objectives[o]).join(", ");
    const first = rank >= data.k && n && rows[n - 1][3][objective] < data.k;
    const row = cells([rank + 1, item + (seen.has(item) ? " (seen)" : ""), positiveFor,
      ...scores[objective].map(score => score.toFixed(3)), poolRank + 1, by], (positiveFor ? "hit " : "") + (first ? "cut" : ""));
    scores[objective].forEach((_, m) => { row.children[3 + m].className = "n"; });
    row.lastChild.className = "wide";
    return row;
  }));
}

function show() {
  const focused = document.activeElement?.id;
  const query = data.queries[chosen];
  const pick = make("select", { id: "pick", ariaLabel: "query", onchange: () => go(pick.selectedIndex) },
    ...data.queries.map((q, n) => make("option", { value: q.id, selected: n === chosen, textContent:
      `session ${q.id}: ${hits(q)} of ${q.positives.length} found, ${q.events} events` })));
  const tabs = data.objectives.map((name, o) => make("button",
    { id: `for-${o}`, textContent: name, ariaPressed: String(o === objective), onclick: () => { objective = o; show(); } }));
  browser.replaceChildren(
    make("div", { className: "bar" },
      make("button", { id: "back", textContent: "‹", ariaLabel: "previous", onclick: () => go(chosen - 1) }), pick,
      make("button", { id: "next", textContent: "›", ariaLabel: "next", onclick: () => go(chosen + 1) }), ...tabs),
    ...(data.types.length ? [make("h3", { textContent:
      `Visible events, latest first: ${query.history.length} of ${query.events} events` }), history(query)] : []),
    make("h3", { textContent: "Ground truth" }), truth(query),
    make("h3", { textContent: `Candidates for ${data.objectives[objective]}: ${query.rows.length} of ${query.candidates}` }),
    candidates(query));
  [...browser.querySelectorAll(".box")].at(-1).id = "candidates";
  if (focused) document.getElementById(focused)?.focus();
}

function go(n) {
  chosen = (n + data.queries.length) % data.queries.length;
  show();
}

if (browser && data.queries.length) show();
