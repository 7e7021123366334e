// What the user may see, as of the last row that was replayed. It knows nothing of sockets and nothing of HTML.

/** For each `data_type`: where its entries are kept, and how one is fetched. */
const KINDS = {
  "cc.users": {
    kept: "users",
    path: "/api/users/get",
    ask: (user) => ({ user }),
    pick: (data, key) => data["cc.users"][key],
  },
  "cc.projects": {
    kept: "projects",
    path: "/api/projects/get",
    ask: (project) => ({ project }),
    pick: (data, key) => data["cc.projects"][key],
  },
  "cc.projects_members": {
    kept: "members",
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

  /** Begins with what a login or init answers. */
  fill({ result, data }) {
    this.me = result.user;
    this.users = new Map(Object.entries(data["cc.users"]));
    this.projects = new Map(Object.entries(data["cc.projects"]));
    this.members = new Map(data["cc.projects_members"].map((member) => [keyOf(member), member]));
  }

  /** Replays a row of the feed. */
  async replay({ action, data_type, data_key }, api) {
    const kind = KINDS[data_type];
    if (!kind) return;
    const entries = this[kind.kept];
    if (action === "DELETE") {
      entries.delete(data_key);
      return;
    }
    // What comes into sight is an INSERT; all else is of no concern.
    if (action === "UPDATE" && !entries.has(data_key)) return;
    try {
      const { data } = await api.call(kind.path, kind.ask(data_key));
      entries.set(data_key, kind.pick(data, data_key));
    } catch (error) {
      // Out of sight since: its DELETE is on the way.
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
