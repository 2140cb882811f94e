// Runs in the page and returns what is wrong with it.
(() => {
  const wrong = [];
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) wrong.push(`the page is ${root.scrollWidth} wide, the window ${innerWidth}`);
  if (window.owned) wrong.push("a script of the wire ran");
  if (document.scripts.length || document.images.length) wrong.push("there are scripts or images");
  if (document.querySelectorAll("style").length !== 1) wrong.push("there are other styles");

  const box = (e) => e.getBoundingClientRect();
  const plots = [];
  for (const figure of document.querySelectorAll("figure")) {
    const title = figure.querySelector("h4").textContent;
    const shown = [...figure.querySelectorAll("svg.plot")].filter((s) => getComputedStyle(s).display !== "none");
    if (shown.length !== 1) wrong.push(`${title}: ${shown.length} images are shown`);
    for (const svg of shown) {
      plots.push(figure.className);
      const outer = box(svg);
      if (outer.width < 100 || outer.height < 30) wrong.push(`${title}: an image of ${outer.width} by ${outer.height}`);
      if (![...svg.querySelectorAll("path,rect")].some((e) => box(e).width > 0 && box(e).height > 0)) wrong.push(`${title}: an empty image`);
      if (!svg.querySelector("title").textContent || !svg.querySelector("desc")) wrong.push(`${title}: no words for who cannot see it`);
      const texts = [...svg.querySelectorAll("text")].filter((e) => e.textContent).map((e) => [e.textContent, box(e)]);
      texts.forEach(([text, b], i) => {
        if (b.left < outer.left - 1 || b.right > outer.right + 1 || b.top < outer.top - 1 || b.bottom > outer.bottom + 1)
          wrong.push(`${title}: "${text}" is cut off`);
        for (const [other, o] of texts.slice(i + 1))
          if (b.left < o.right - 1 && o.left < b.right - 1 && b.top < o.bottom - 4 && o.top < b.bottom - 4)
            wrong.push(`${title}: "${text}" and "${other}" overlap`);
      });
      const size = 12 * outer.width / svg.viewBox.baseVal.width;
      if (size < 9) wrong.push(`${title}: letters of ${size} pixels`);
    }
  }

  // Contrast as WCAG 2 has it: text at least 4.5, lines and bars 3.
  const light = (color) => {
    const [r, g, b] = color.match(/[\d.]+/g).map(Number).map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const value = (name) => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.setProperty("color", `var(${name})`);
    const color = getComputedStyle(probe).color;
    probe.remove();
    return color;
  };
  for (const ground of ["--page", "--card"]) {
    for (const name of ["--ink", "--soft", "--c0", "--warn"])
      if (contrast(value(name), value(ground)) < 4.5) wrong.push(`${name} on ${ground}: too little contrast`);
    for (const name of ["--c1", "--c2", "--c3", "--c4", "--c5", "--bad", "--good"])
      if (contrast(value(name), value(ground)) < 3) wrong.push(`${name} on ${ground}: too little contrast`);
  }
  return {wrong, plots, height: root.scrollHeight};
})()
