"use strict";
// The browse view: one query at a time, its candidates by the rank under one objective.
const data = JSON.parse(document.getElementById("data").textContent);
const browser = document.getElementById("browser");
let query = 0, objective = 0;

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

function history(found) {
  const seen = found.history.map(([aid, ts, type]) =>
    cells([new Date(ts * 1000).toISOString().slice(0, 19).replace("T", " "), data.types[type], aid]));
  return table(["time", "event", "item"], seen.reverse());
}

const hits = found => found.true.filter(([, , , rank]) => rank !== null && rank < data.k).length;

function truth(found) {
  const rows = found.true.map(([aid, o, place, rank]) => {
    const where = rank === null ? "not a candidate: no rule, or too few votes"
      : `rank ${rank + 1}${rank < data.k ? ", a hit" : ""} (in the pool ${place + 1})`;
    const row = cells([data.objectives[o], aid, where], rank !== null && rank < data.k ? "hit" : "");
    row.lastChild.className = "told";
    return row;
  });
  return table(["what happened", "item", "where we had it"], rows);
}

function candidates(found) {
  const shown = new Set(found.history.map(([aid]) => aid));
  const rows = [...found.rows].sort((a, b) => a[3][objective] - b[3][objective]);
  const heads = ["rank", "item", "came true", ...data.rankers[objective], "in pool", "proposed by: rank"];
  return table(heads, rows.map(([aid, place, rules, ranks, scores, true_], n) => {
    const rank = ranks[objective];
    const by = rules.map(([rule, r]) => `${data.rules[rule]}: ${r + 1}`).join(", ");
    const came = true_.map(o => data.objectives[o]).join(", ");
    const first = rank >= data.k && n && rows[n - 1][3][objective] < data.k;
    const row = cells([rank + 1, aid + (shown.has(aid) ? " (seen)" : ""), came,
      ...scores[objective].map(score => score.toFixed(3)), place + 1, by], (came ? "hit " : "") + (first ? "cut" : ""));
    scores[objective].forEach((_, m) => { row.children[3 + m].className = "n"; });
    row.lastChild.className = "wide";
    return row;
  }));
}

function show() {
  const focused = document.activeElement?.id;
  const found = data.queries[query];
  const pick = make("select", { id: "pick", ariaLabel: "query", onchange: () => go(pick.selectedIndex) },
    ...data.queries.map((q, n) => make("option", { value: q.id, selected: n === query, textContent:
      `session ${q.id}: ${hits(q)} of ${q.true.length} found, ${q.events} events` })));
  const tabs = data.objectives.map((name, o) => make("button",
    { id: `for-${o}`, textContent: name, ariaPressed: String(o === objective), onclick: () => { objective = o; show(); } }));
  browser.replaceChildren(
    make("div", { className: "bar" },
      make("button", { id: "back", textContent: "‹", ariaLabel: "previous", onclick: () => go(query - 1) }), pick,
      make("button", { id: "next", textContent: "›", ariaLabel: "next", onclick: () => go(query + 1) }), ...tabs),
    make("h3", { textContent:
      `What the session shows, latest first: ${found.history.length} of ${found.events} events` }), history(found),
    make("h3", { textContent: "What really happened" }), truth(found),
    make("h3", { textContent: `Candidates for ${data.objectives[objective]}: ${found.rows.length} of ${found.of}` }),
    candidates(found));
  browser.querySelectorAll(".box")[2].id = "candidates";
  if (focused) document.getElementById(focused)?.focus();
}

function go(n) {
  query = (n + data.queries.length) % data.queries.length;
  show();
}

if (browser && data.queries.length) show();
