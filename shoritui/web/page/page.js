// Tells textual.js, which opens the window once all has loaded, where that is.
document.addEventListener("DOMContentLoaded", () => {
  const terminal = document.getElementById("terminal");
  const size = parseInt(new URLSearchParams(location.search).get("fontsize"), 10);
  terminal.dataset.sessionWebsocketUrl = location.origin.replace(/^http/, "ws") + "/ws";
  if (size >= 6 && size <= 60) terminal.dataset.fontSize = size;
  document.getElementById("again").addEventListener("click", () => location.reload());
  // What is typed belongs to the window at once, and again after a click beside it.
  const focus = () => document.querySelector(".xterm-helper-textarea")?.focus();
  window.addEventListener("load", () => setTimeout(focus));
  window.addEventListener("focus", focus);
});
