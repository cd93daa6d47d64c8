export const reducer = (state, action) => ({ ...state, triggerStatus: action.triggerStatus });
const label = t(`camera.${camera.triggerStatus}`);
