// The entry for notebooks, called by anywidget.
export default { render: ({ model, el }) => mount({ model, el }) };
