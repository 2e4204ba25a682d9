// A part of a page that has the focus is not exchanged: who goes by keyboard would be lost.
document.addEventListener("htmx:beforeSwap", function (event) {
  if (event.detail.target.contains(document.activeElement)) {
    event.detail.shouldSwap = false;
  }
});
