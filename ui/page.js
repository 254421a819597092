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
  document.addEventListener("click", (event) => mark(event.target.closest('[data-testid^="stNumberInputStep"]')), true);
}
