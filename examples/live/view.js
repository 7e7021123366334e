// Shows a picture and calls the API for changes. It never changes the picture itself: each change
// arrives through the feed.

import { byId, fromTemplate, keep, part, write } from "./elements.js";

const PLACEHOLDER_NAME = "somebody invited by mail";
const ROWS = 100;

const nameOf = (user) => user?.name || user?.username || PLACEHOLDER_NAME;
const byName = ([, one], [, other]) => one.name.localeCompare(other.name);

export class View {
  #picture;
  /** `(path, body)`: makes a call and shows its error, if any; returns whether the call succeeded. */
  #act;

  constructor(picture, act) {
    this.#picture = picture;
    this.#act = act;
    byId("rows").replaceChildren();
    byId("invitations").replaceChildren();
    byId("projects").replaceChildren();
    this.#form(byId("rename-me"), "/api/account/update", (name) => ({ name }));
    this.#form(byId("create"), "/api/projects/create", (name) => ({ name }));
    onOpen(byId("rename-me"), () => picture.self().name);
  }

  show() {
    const me = this.#picture.self();
    if (!me) return;
    write(byId("my-name"), nameOf(me));
    write(byId("my-account"), [me.username, me.email].filter(Boolean).join(" · "));
    document.title = `${nameOf(me)} · Doorward live`;
    const projects = [...this.#picture.projects].sort(byName);
    const status = (gid) => this.#picture.membership(gid)?.status;
    const invitations = projects.filter(([gid]) => status(gid) === "invited");
    keep(byId("invitations"), invitations, (one) => this.#makeInvitation(one), (element, { name }) => {
      write(part(element, "invitation-name"), name);
    });
    byId("no-invitations").hidden = invitations.length > 0;
    const own = projects.filter(([gid]) => status(gid) === "active");
    keep(byId("projects"), own, (one) => this.#makeProject(one), (element, one) => this.#showProject(element, one));
    byId("no-projects").hidden = own.length > 0;
  }

  /** Adds a row at the top of the log and removes the oldest rows beyond the limit. */
  log({ cursor, action, data_type, data_key }) {
    const row = fromTemplate("row");
    part(row, "row-cursor").textContent = cursor;
    part(row, "row-action").textContent = action;
    part(row, "row-action").dataset.action = action;
    part(row, "row-type").textContent = data_type;
    part(row, "row-key").textContent = data_key;
    part(row, "row-name").textContent = this.#label(data_type, data_key);
    byId("rows").prepend(row);
    while (byId("rows").children.length > ROWS) byId("rows").lastElementChild.remove();
  }

  #label(type, key) {
    const { users, projects } = this.#picture;
    const [first, second] = key.split("/");
    if (type === "cc.users") return users.get(first)?.name ?? "";
    const project = projects.get(first)?.name ?? "";
    return second && users.get(second) ? `${nameOf(users.get(second))} in ${project}` : project;
  }

  #makeInvitation({ gid }) {
    const element = fromTemplate("invitation");
    this.#button(part(element, "accept"), "/api/account/accept_invite", { project: gid });
    this.#button(part(element, "decline"), "/api/account/decline_invite", { project: gid });
    return element;
  }

  #makeProject({ gid }) {
    const element = fromTemplate("project");
    this.#form(part(element, "rename-project"), "/api/projects/update", (name) => ({ project: gid, name }));
    onOpen(part(element, "rename-project"), () => this.#picture.projects.get(gid).name);
    this.#form(part(element, "invite"), `/api/p/${gid}/members/invite`, (name) => ({ username_or_email: name }));
    this.#button(part(element, "leave"), "/api/account/leave_project", { project: gid });
    return element;
  }

  #showProject(element, project) {
    const isOwner = project.owner === this.#picture.me;
    const isActive = project.status === "active";
    write(part(element, "project-name"), project.name);
    write(part(element, "project-status"), isActive ? "" : project.status);
    part(element, "rename-project").closest("details").hidden = !isActive;
    part(element, "invite").closest("details").hidden = !isActive || !isOwner;
    part(element, "leave").hidden = isOwner;
    const rank = (member) => (member.roles.includes("owner") ? 0 : 1);
    const user = (member) => nameOf(this.#picture.users.get(member.user_gid));
    const members = this.#picture.membersOf(project.gid);
    members.sort((one, other) => rank(one) - rank(other) || user(one).localeCompare(user(other)));
    const list = part(element, "members");
    keep(list, members.map((member) => [member.user_gid, member]), (one) => this.#makeMember(one), (item, member) => {
      const isMe = member.user_gid === this.#picture.me;
      write(part(item, "member-name"), user(member) + (isMe ? " (you)" : ""));
      write(part(item, "member-roles"), member.roles.join(", "));
      write(part(item, "member-status"), member.status);
      part(item, "member-status").dataset.status = member.status;
      const canRemove = isOwner && isActive && !isMe && !member.roles.includes("api");
      part(item, "remove").hidden = !canRemove;
      part(item, "remove").setAttribute("aria-label", `Remove ${user(member)} from ${project.name}`);
    });
  }

  #makeMember({ project_gid, user_gid }) {
    const element = fromTemplate("member");
    this.#button(part(element, "remove"), `/api/p/${project_gid}/members/remove`, { user: user_gid });
    return element;
  }

  #button(button, path, body) {
    button.onclick = async () => {
      button.disabled = true;
      await this.#act(path, body);
      button.disabled = false;
    };
  }

  /** Prepares a form with one field. After a successful call the field is cleared and the surrounding `<details>` is closed. */
  #form(form, path, body) {
    form.onsubmit = async (event) => {
      event.preventDefault();
      const input = form.querySelector("input");
      const button = form.querySelector("button");
      button.disabled = true;
      const isDone = await this.#act(path, body(input.value));
      button.disabled = false;
      if (!isDone) return;
      form.reset();
      form.closest("details")?.removeAttribute("open");
    };
  }
}

/** Fills the field with the current value when the form is opened. */
function onOpen(form, value) {
  const details = form.closest("details");
  details.ontoggle = () => {
    if (!details.open) return;
    const input = form.querySelector("input");
    input.value = value();
    input.focus();
    input.select();
  };
}
