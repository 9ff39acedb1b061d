"use strict";

/* The table of events: filter, sort, pages, details. Rows live in an array; the page holds only those on show. */
(() => {
  const table = document.getElementById("event-table");
  if (!table) return;
  const byId = (id) => document.getElementById(id);
  const [filter, levels, status, pager] = ["filter", "level-filter", "status", "pager"].map(byId);
  const rows = [...table.tBodies];
  const perPage = Number(table.dataset.page);
  const keys = new Map(rows.map((row) => [row, sortKeys(row)]));
  let matching = rows;
  let page = 0;
  let all = false;

  function sortKeys(row) {
    const data = row.dataset;
    const template = row.querySelector(".c-template code").textContent;
    const words = [template, data.component, data.level, row.querySelector(".open").textContent];
    return {
      template: template.toLowerCase(),
      component: data.component.toLowerCase(),
      level: Number(data.rank),
      count: Number(data.count),
      score: Number.isFinite(Number(data.score)) ? Number(data.score) : -Infinity,
      first: data.first,
      last: data.last,
      text: words.join(" ").toLowerCase(),
    };
  }

  function show() {
    const pages = all ? 1 : Math.max(1, Math.ceil(matching.length / perPage));
    page = Math.min(page, pages - 1);
    const from = all ? 0 : page * perPage;
    const shown = all ? matching : matching.slice(from, from + perPage);
    for (const row of [...table.tBodies]) row.remove();
    for (const row of shown) row.classList.remove("later");
    table.append(...shown);
    const total = matching.length.toLocaleString("en");
    const some = matching.length === rows.length ? "events" : `of ${rows.length.toLocaleString("en")} events`;
    const range = pages > 1 ? `${from + 1}–${from + shown.length} of ` : "";
    status.textContent = range + (matching.length === rows.length ? `${total} events` : `${total} ${some}`);
    if (rows.length === 1) status.textContent = "1 event";
    byId("no-match").hidden = matching.length > 0;
    table.hidden = matching.length === 0;
    pager.hidden = matching.length <= perPage;
    byId("page").textContent = all ? "" : `Page ${page + 1} of ${pages}`;
    byId("previous").disabled = page === 0;
    byId("next").disabled = page >= pages - 1;
    byId("all").textContent = all ? "Show pages" : "Show all";
  }

  function match() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const level = levels ? levels.value : "";
    matching = rows.filter((row) => {
      const text = keys.get(row).text;
      return (!level || row.dataset.level === level) && words.every((word) => text.includes(word));
    });
    page = 0;
    show();
  }

  function sort(head, key) {
    const texts = key === "template" || key === "component" || key === "first";
    const now = head.getAttribute("aria-sort");
    const down = now === "none" ? !texts : now === "ascending";
    for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    rows.sort((a, b) => {
      const [x, y] = [keys.get(a)[key], keys.get(b)[key]];
      return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
    });
    match();
  }

  function toggle(row, open = row.querySelector(".detail").hidden) {
    row.querySelector(".detail").hidden = !open;
    row.querySelector(".open").setAttribute("aria-expanded", String(open));
  }

  function reveal() {
    const row = rows.find((one) => `#${one.id}` === location.hash);
    if (!row) return;
    if (!matching.includes(row)) {
      filter.value = "";
      if (levels) levels.value = "";
      match();
    }
    page = all ? 0 : Math.floor(matching.indexOf(row) / perPage);
    show();
    toggle(row, true);
    row.scrollIntoView({ block: "start" });
    row.querySelector(".open").focus({ preventScroll: true });
  }

  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) sort(button.closest("th"), button.dataset.key);
  });
  table.addEventListener("click", (event) => {
    const row = event.target.closest("tr.row");
    if (row && (event.target.closest(".open") || !String(getSelection()))) toggle(row.parentElement);
  });
  filter.addEventListener("input", match);
  if (levels) levels.addEventListener("change", match);
  const turn = (step) => () => {
    page += step;
    show();
    byId("events").scrollIntoView();
  };
  byId("previous").addEventListener("click", turn(-1));
  byId("next").addEventListener("click", turn(1));
  byId("all").addEventListener("click", () => {
    all = !all;
    page = 0;
    show();
  });
  addEventListener("hashchange", reveal);
  show();
  reveal();
})();
