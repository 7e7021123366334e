// The page: after the login it shows the data that is visible to the user, and every change of it.

import { Api, Refused } from "./api.js";
import { byId } from "./elements.js";
import { Feed } from "./feed.js";
import { Picture } from "./picture.js";
import { View } from "./view.js";

function showProblem(text) {
  byId("problem").textContent = text;
}

/** Describes an error in one line. */
function describe(error) {
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
      showProblem("");
      return true;
    } catch (error) {
      showProblem(describe(error));
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
      showProblem(reason);
      document.title = "Doorward live";
      switchTo("login");
      byId("username").focus();
    },
  });
  byId("logout").onclick = async () => {
    // The feed is closed first: otherwise the server would notify this page that its login has
    // ended.
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
    showProblem("");
    form.reset();
    start(api, login);
  } catch (error) {
    showProblem(error.code === 403 ? "Nobody has this username and password." : describe(error));
  }
  button.disabled = false;
};

for (const button of document.querySelectorAll("[data-person]")) {
  button.onclick = () => {
    byId("username").value = button.dataset.person;
    byId("password").focus();
  };
}
