// As soon as something in a page's input is changed, what was answered is marked (see style.css): Streamlit
// itself learns of a change in a form only when the form is sent. A new answer has a new class, without a mark.
if (!window.servelabMarks) {
  window.servelabMarks = new CSSStyleSheet();
  document.adoptedStyleSheets.push(window.servelabMarks);
  const mark = (changed) => {
    if (!changed?.closest('[class*="st-key-panel-input"]')) return;
    for (const answer of document.querySelectorAll('[class*="st-key-answer-"]')) {
      const name = [...answer.classList].find((one) => one.startsWith("st-key-answer-"));
      window.servelabMarks.insertRule(`.${name}::before { display: block !important }`);
    }
  };
  document.addEventListener("input", (event) => mark(event.target), true);
  // The buttons of a field for numbers, and a choice from a list, which hangs elsewhere in the document.
  document.addEventListener("click", (event) => {
    mark(event.target.closest(".stNumberInput button"));
    if (event.target.closest('[role="option"]')) mark(document.activeElement);
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.getAttribute("aria-expanded") === "true") mark(event.target);
  }, true);
}

// What has just come is scrolled to, once, and is kept in view while the page is still drawn around it, until
// whoever reads it does something: Streamlit draws a page piece by piece, and much of it a moment later.
if (!window.servelabShow) {
  const shown = new Set();
  let latest = null;
  const keepInView = () => {
    const element = latest && document.querySelector(`.st-key-${latest}`);
    if (!element) return;
    element.scrollIntoView({ block: innerWidth > 640 ? "nearest" : "start" });
    if (element.getBoundingClientRect().top < 0) element.scrollIntoView({ block: "start" });
  };
  const drawn = new ResizeObserver(keepInView);
  window.servelabShow = (key) => {
    if (shown.has(key)) return;
    shown.add(key);
    latest = key;
    drawn.disconnect();
    drawn.observe(document.querySelector(".stMainBlockContainer")); // and once for its size as it is now
  };
  const leave = () => { latest = null; };
  for (const does of ["wheel", "pointerdown", "keydown"]) document.addEventListener(does, leave, { capture: true, passive: true });
}

// Whoever has sent a prompt by keyboard writes the next one when the answer is there, unless they went elsewhere
// meanwhile. Not on a phone, where a field with the focus brings the keyboard up, over the answer.
if (!window.servelabWrite) {
  const done = new Set();
  window.servelabWrite = (name) => {
    if (done.has(name) || innerWidth <= 640) return;
    done.add(name);
    if (document.activeElement === document.body) document.querySelector('[data-testid="stChatInputTextArea"]')?.focus();
  };
}
