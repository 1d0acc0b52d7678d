// JupyterLab takes keys for its own wherever no text is typed, such as arrows on a dropdown, or d
// twice, which deletes the cell. It looks at the focused element only, and first of all at this
// attribute; what goes with Ctrl, and Shift+Enter, stays Lab's.
if (!window.tabkitKeys) window.addEventListener('keydown', window.tabkitKeys = event => {
  if (!event.target.closest?.('.tabkit-widget')) return;
  const run = event.shiftKey && event.key === 'Enter';
  const lab = event.ctrlKey || event.metaKey || event.altKey || run;
  event.target.toggleAttribute('data-lm-suppress-shortcuts', !lab);
}, true);
// ipywidgets gives a slider's handle no name, and its value as the exponent where the scale is
// logarithmic; a screen reader needs both.
for (const slider of this.closest('.tabkit-widget').querySelectorAll('.widget-slider')) {
  const handle = slider.querySelector('[role=slider]');
  handle?.setAttribute('aria-label', slider.querySelector('.widget-label').textContent);
  const shown = slider.querySelector('.widget-readout')?.textContent;
  if (shown) handle?.setAttribute('aria-valuetext', shown);
}
// Radio buttons are a group without a name; the question is the title of their empty label.
for (const group of this.closest('.tabkit-widget').querySelectorAll('.widget-radio-box')) {
  group.setAttribute('role', 'radiogroup');
  group.setAttribute('aria-label', group.previousElementSibling.title);
}
