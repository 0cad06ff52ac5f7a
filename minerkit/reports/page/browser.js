"use strict";
// Search, filter and page through the examples. Texts reach the page as text nodes only.
(() => {
  const PAGE = 20;
  const byId = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const DRAWN = { random: "at random", gap: "for a small gap", reason: "to show a reason" };
  const FATES = { dropped: "query dropped", short: "query left short" };

  const fill = (node, children) => {
    node.replaceChildren(...children.flat().filter((child) => child !== null && child !== ""));
    return node;
  };
  const element = (name, look, ...children) => {
    const node = document.createElement(name);
    if (look) node.className = look;
    return fill(node, children);
  };
  const shape = (name, attributes) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const number = (value, digits) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
  const score = (value) => number(value, 3);

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    const label = [...button.childNodes];
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(byId(button.dataset.copy).textContent);
      button.textContent = "Copied";
      setTimeout(() => button.replaceChildren(...label), 1500);
    });
  }

  const { documents, queries } = JSON.parse(byId("data").textContent);
  const hits = (query) => [...query.positives, ...query.negatives, ...query.rejected];
  const origin = (negative) => `${negative[3]}, ${negative[4]}`;
  const sources = new Set(queries.flatMap((query) => query.negatives.map(origin)));
  const scores = queries.flatMap((query) => hits(query).map((hit) => hit[1]));
  const low = scores.reduce((a, b) => Math.min(a, b), Infinity);
  const high = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  for (const [place, query] of queries.entries()) {
    query.place = place;
    query.words = [query.text, ...hits(query).map((hit) => documents[hit[0]][1])].join("\n").toLowerCase();
    query.reasons = new Set(query.rejected.map((hit) => hit[3]));
    query.sources = new Set(query.negatives.map(origin));
    query.low = query.positives.length ? query.positives[query.positives.length - 1][1] : null;
    if (query.fate) query.reasons.add(FATES[query.fate]);
  }

  const form = document.querySelector("#browser form");
  const controls = form.elements;
  const list = byId("list");
  let found = [];
  let start = 0;

  const offer = (select, values, name = (value) => value) => {
    const options = [...new Set(values)].sort();
    for (const value of options) {
      const option = element("option", "", name(value));
      option.value = value;
      select.append(option);
    }
    select.closest("label").hidden = options.length < 2 && select.name !== "reason";
  };
  offer(controls.reason, queries.flatMap((query) => [...query.reasons]));
  offer(controls.source, sources);
  offer(controls.split, queries.map((query) => query.split));
  offer(controls.drawn, queries.map((query) => query.drawn), (value) => DRAWN[value] || value);

  const wanted = () => controls.find.value.toLowerCase().split(/\s+/).filter(Boolean);

  // Nulls come last in every order.
  const by = (key, sign) => (a, b) =>
    (a[key] === null) - (b[key] === null) || sign * (a[key] - b[key]) || a.place - b.place;
  const ORDERS = { gap: by("gap", 1), "-gap": by("gap", -1), low: by("low", 1), id: by("place", 1) };

  const marked = (text, words) => {
    if (!words.length) return [text];
    const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const parts = text.split(new RegExp(`(${escaped.join("|")})`, "gi"));
    return parts.map((part, place) => (place % 2 ? element("mark", "", part) : part));
  };

  const foreign = (node) => {
    node.dir = "auto";
    node.lang = list.dataset.lang || "";
    return node;
  };

  const strip = (query) => {
    const across = (value) => `${2 + (96 * (value - low)) / (high - low || 1)}%`;
    const node = shape("svg", { class: "strip", width: "100%", height: 16, "aria-hidden": "true" });
    node.append(shape("line", { x1: 0, x2: "100%", y1: 8, y2: 8 }));
    for (const hit of query.rejected) node.append(shape("circle", { class: "refused", cx: across(hit[1]), cy: 8, r: 3.5 }));
    for (const hit of query.negatives) {
      const group = shape("svg", { x: across(hit[1]), overflow: "visible" });
      group.append(shape("rect", { class: "negatives", x: -1.5, y: 1, width: 3, height: 14 }));
      node.append(group);
    }
    for (const hit of query.positives) node.append(shape("circle", { class: "positives", cx: across(hit[1]), cy: 8, r: 5 }));
    return node;
  };

  const row = (kind, words) => (hit) => {
    const [id, text, whole] = documents[hit[0]];
    const meta = element("div", "meta", element("b", "", score(hit[1])), hit[2] === null ? ", unranked" : `, rank ${hit[2]}`);
    if (kind === "rejected") meta.append(" ", element("span", "tag", hit[3]));
    if (kind === "negative" && sources.size > 1) meta.append(`, ${origin(hit)}`);
    meta.append(`, ${id}`, whole ? `, ${number(whole, 0)} characters` : "");
    return element("li", kind, meta, foreign(element("p", "", marked(text, words))));
  };

  const group = (title, kind, rows, words, more = "") =>
    rows.length ? [element("h3", "", title), element("ul", "", rows.map(row(kind, words))), more && element("p", "meta", more)] : [];

  const body = (query, words) => [
    ...group(query.positives.length > 1 ? "Positives" : "Positive", "positive", query.positives, words),
    ...group("Negatives", "negative", query.negatives, words),
    ...group("Rejected candidates", "rejected", query.rejected, words, query.hidden ? `and ${number(query.hidden, 0)} more in judged.parquet` : ""),
  ];

  const item = (query, words, open) => {
    const text = foreign(element("span", "query", marked(query.text, words)));
    const facts = [`gap ${query.gap === null ? "none" : number(query.gap, 4)}`, query.split, query.id];
    const meta = element("span", "meta", facts.join(", "), query.fate ? [" ", element("span", "tag", FATES[query.fate])] : "");
    const details = element("details", "", element("summary", "", text, strip(query), meta));
    const inside = element("div", "hits");
    details.append(inside);
    // What is closed costs nothing: its texts are set when it is opened.
    details.addEventListener("toggle", () => details.open && !inside.firstChild && fill(inside, body(query, words)));
    details.open = open;
    return element("li", "", details);
  };

  const show = () => {
    const words = wanted();
    list.replaceChildren(...found.slice(start, start + PAGE).map((query, place) => item(query, words, !start && !place)));
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    byId("place").textContent = `${start / PAGE + 1} of ${pages}`;
    byId("before").disabled = !start;
    byId("after").disabled = start + PAGE >= found.length;
    byId("toggle").textContent = "Open all";
    byId("toggle").disabled = !found.length;
  };

  const search = () => {
    const words = wanted();
    const { reason, source, split, drawn, order } = controls;
    found = queries.filter((query) =>
      (!split.value || query.split === split.value) &&
      (!drawn.value || query.drawn === drawn.value) &&
      (!reason.value || query.reasons.has(reason.value)) &&
      (!source.value || query.sources.has(source.value)) &&
      words.every((word) => query.words.includes(word)));
    found.sort(ORDERS[order.value]);
    start = 0;
    byId("count").textContent = found.length ? `${number(found.length, 0)} of these ${number(queries.length, 0)} queries` : "No query fits; clear a filter or search for less";
    show();
  };

  const turn = (step) => {
    start += step * PAGE;
    show();
    byId("count").focus({ preventScroll: true });
    byId("count").scrollIntoView({ block: "start" });
  };

  let waiting;
  form.addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(search, event.target === controls.find ? 120 : 0);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", () => { form.reset(); search(); controls.find.focus(); });
  byId("before").addEventListener("click", () => turn(-1));
  byId("after").addEventListener("click", () => turn(1));
  byId("toggle").addEventListener("click", () => {
    const open = byId("toggle").textContent === "Open all";
    for (const details of list.querySelectorAll("details")) details.open = open;
    byId("toggle").textContent = open ? "Close all" : "Open all";
  });
  byId("scale").textContent = scores.length ? `on one scale, ${score(low)} to ${score(high)}` : "";
  byId("browser").hidden = false;
  search();
})();
