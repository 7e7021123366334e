// The page: somebody logs in, and sees what they may see as it changes.

import { Api, Refused } from "./api.js";
import { byId } from "./elements.js";
import { Feed } from "./feed.js";
import { Picture } from "./picture.js";
import { View } from "./view.js";

function complain(text) {
  byId("problem").textContent = text;
}

/** What went wrong, in a line. */
function say(error) {
  if (!(error instanceof Refused)) return "Doorward can't be reached.";
  const info = Object.entries(error.info).map(([name, value]) => `${name}: ${value}`);
  return [`${error.message} (${error.code})`, ...info].join(", ");
}

function switchTo(section) {
  for (const id of ["login", "home"]) byId(id).hidden = id !== section;
}

function showState(state) {
  byId("connection").textContent = state;
  byId("connection").dataset.state = state;
}

function start(api, login) {
  const picture = new Picture();
  const act = async (path, body) => {
    try {
      await api.call(path, body);
      complain("");
      return true;
    } catch (error) {
      complain(say(error));
      return false;
    }
  };
  const view = new View(picture, act);
  const feed = new Feed(api, picture, {
    state: showState,
    filled: () => view.show(),
    row: (row) => {
      view.log(row);
      view.show();
    },
    ended: (reason) => {
      showState("");
      complain(reason);
      document.title = "Doorward live";
      switchTo("login");
      byId("username").focus();
    },
  });
  byId("logout").onclick = async () => {
    // First: the server would tell this very page that its login is over.
    feed.end();
    await act("/api/account/logout", {});
  };
  feed.start(login);
  switchTo("home");
}

byId("login-form").onsubmit = async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("[type=submit]");
  const api = new Api();
  button.disabled = true;
  try {
    const login = await api.call("/api/login", { username: form.username.value, password: form.password.value });
    complain("");
    form.reset();
    start(api, login);
  } catch (error) {
    complain(error.code === 403 ? "Nobody has this username and password." : say(error));
  }
  button.disabled = false;
};

for (const button of document.querySelectorAll("[data-person]")) {
  button.onclick = () => {
    byId("username").value = button.dataset.person;
    byId("password").focus();
  };
}
