// The entry for a notebook: what anywidget calls.
export default { render: ({ model, el }) => mount({ model, el }) };
