// The entry for notebooks, called by anywidget.
import { hideStill } from "./dom.js";
import { mount } from "./explorer.js";

export default {
  render({ model, el }) {
    const unmount = mount({ model, el });
    const showStill = hideStill(model, el);
    return () => {
      showStill();
      unmount();
    };
  },
};
