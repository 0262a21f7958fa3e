// What is on every page: the box that finds a job by its id.

const form = document.getElementById("find");
const field = document.getElementById("find-id");
const ID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const id = field.value.trim();
  if (ID.test(id)) {
    location.assign(`/jobs/${id}`);
    return;
  }
  field.setCustomValidity("An id has 32 hexadecimal digits.");
  field.reportValidity();
});
field.addEventListener("input", () => field.setCustomValidity(""));
document.addEventListener("keydown", (event) => {
  const writes = event.target.closest("input, textarea, select, dialog");
  if (event.key === "/" && !writes && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    field.focus();
  }
});
