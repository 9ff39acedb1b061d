"use strict";
// Sorting and filtering of the leaderboard. Without this script every row is there, in order of rank.
(() => {
  const boards = [...document.querySelectorAll(".board")];
  const form = document.getElementById("filters");
  if (!form) return;

  const value = (row, place, numeric) => {
    const told = row.children[place].dataset.v;
    if (told === "") return null;
    return numeric ? Number(told) : told.toLowerCase();
  };
  const texts = new Set(["model", "exposure"]);

  const sort = (table, button) => {
    const head = button.closest("th");
    const now = head.getAttribute("aria-sort");
    const first = button.dataset.first || "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const way = now === first ? other : first;
    for (const each of table.querySelectorAll("th[aria-sort]")) each.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", way);
    const place = [...head.parentElement.children].indexOf(head);
    const numeric = !texts.has(button.dataset.key);
    const sign = way === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    const rows = [...body.rows];
    // What is missing goes last, whichever way.
    rows.sort((a, b) => {
      const [x, y] = [value(a, place, numeric), value(b, place, numeric)];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (x < y ? -1 : x > y ? 1 : 0);
    });
    body.append(...rows);
  };
  for (const board of boards) {
    board.addEventListener("click", (event) => {
      const button = event.target.closest("th button");
      if (button) sort(button.closest("table"), button);
    });
  }

  const status = document.getElementById("status");
  const nothing = document.getElementById("no-match");
  const search = document.getElementById("search");
  const picks = [...form.querySelectorAll("[data-filter]")];
  const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

  const filter = () => {
    const wanted = Object.fromEntries(picks.map((pick) => [pick.dataset.filter, pick.value]));
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (told, names) => names.every((name) => !wanted[name] || told[name] === wanted[name]);
    let [rows, all, shown] = [0, 0, 0];
    for (const board of boards) {
      const open = fits(board.dataset, ["task", "protocol", "truth"]);
      let here = 0;
      for (const row of board.querySelectorAll("tbody tr")) {
        const name = row.dataset.model.toLowerCase();
        const fit = open && fits(row.dataset, ["kind", "exposure"]) && words.every((word) => name.includes(word));
        row.hidden = !fit;
        here += fit;
        all += 1;
      }
      board.hidden = here === 0;
      shown += here > 0;
      rows += here;
    }
    for (const group of document.querySelectorAll(".group")) {
      group.hidden = !group.querySelector(".board:not([hidden])");
    }
    nothing.hidden = rows > 0;
    const tables = `${shown.toLocaleString("en")} of ${count(boards.length, "table")}`;
    status.textContent = `${rows.toLocaleString("en")} of ${count(all, "row")}, in ${tables}`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));

  // A link to a table that is filtered away clears the filters.
  const reveal = () => {
    const board = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!board || !board.classList.contains("board") || !board.hidden) return;
    form.reset();
    filter();
    board.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  form.hidden = false;
  filter();
})();
