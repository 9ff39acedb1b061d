"use strict";

/* Paper shows what is folded. */
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});

/* The figure: plotly.js is unpacked after the page has been shown, and takes its colours from the style sheet. */
(async () => {
  const packed = document.getElementById("plotly");
  if (!packed || typeof DecompressionStream === "undefined") return;
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const bytes = Uint8Array.from(atob(packed.textContent), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  script.remove();
  packed.remove();

  const plot = document.getElementById("plot");
  const source = document.getElementById("figure").textContent;

  function paint() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const { data, layout } = JSON.parse(source);
    for (const trace of data) {
      const own = colour(trace.meta.role);
      Object.assign(trace.marker, { color: own });
      if (trace.line) trace.line.color = own;
      if (trace.meta.role === "odd") trace.marker.line.color = colour("paper");
    }
    layout.font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("muted") };
    layout.hoverlabel = {
      align: "left",
      bgcolor: colour("ink"),
      bordercolor: colour("ink"),
      font: { color: colour("paper"), size: 12, family: layout.font.family },
    };
    for (const [name, axis] of Object.entries(layout)) {
      if (name.startsWith("yaxis") || name === "xaxis") axis.gridcolor = colour("rule");
    }
    if (plot.clientWidth < 560) layout.xaxis.nticks = 4;
    return Plotly.react(plot, data, layout, { displayModeBar: false, responsive: true });
  }

  plot.querySelector(".static").remove();
  await paint();
  plot.classList.add("drawn");
  plot.on("plotly_click", ({ points: [point] }) => {
    if (point.customdata) location.hash = `#${plot.dataset.rows}-${point.customdata}`;
  });
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(query).addEventListener("change", paint);
  }
})();
