// The data that is visible to the user, as of the last row that was applied. It must not know
// sockets or HTML.

/** For each `data_type`: the map that stores its entries, and how one entry is fetched. */
const KINDS = {
  "cc.users": {
    map: "users",
    path: "/api/users/get",
    ask: (user) => ({ user }),
    pick: (data, key) => data["cc.users"][key],
  },
  "cc.projects": {
    map: "projects",
    path: "/api/projects/get",
    ask: (project) => ({ project }),
    pick: (data, key) => data["cc.projects"][key],
  },
  "cc.projects_members": {
    map: "members",
    path: "/api/members/get",
    ask: (key) => {
      const [project, member] = key.split("/");
      return { project, member };
    },
    pick: (data) => data["cc.projects_members"][0],
  },
};

const keyOf = (member) => `${member.project_gid}/${member.user_gid}`;

export class Picture {
  me = null;
  users = new Map();
  projects = new Map();
  members = new Map();

  /** Replaces all data with the response of a login or init. */
  fill({ result, data }) {
    this.me = result.user;
    this.users = new Map(Object.entries(data["cc.users"]));
    this.projects = new Map(Object.entries(data["cc.projects"]));
    this.members = new Map(data["cc.projects_members"].map((member) => [keyOf(member), member]));
  }

  /** Applies a row of the feed. */
  async replay({ action, data_type, data_key }, api) {
    const kind = KINDS[data_type];
    if (!kind) return;
    const entries = this[kind.map];
    if (action === "DELETE") {
      entries.delete(data_key);
      return;
    }
    // An entry that becomes visible is an INSERT, so an UPDATE of an unknown entry can be ignored.
    if (action === "UPDATE" && !entries.has(data_key)) return;
    try {
      const { data } = await api.call(kind.path, kind.ask(data_key));
      entries.set(data_key, kind.pick(data, data_key));
    } catch (error) {
      // 422: the entry is no longer visible, and a later row is its DELETE.
      if (error.code !== 422) throw error;
    }
  }

  self() {
    return this.users.get(this.me);
  }

  membersOf(project) {
    return [...this.members.values()].filter((member) => member.project_gid === project);
  }

  membership(project) {
    return this.members.get(`${project}/${this.me}`);
  }
}
