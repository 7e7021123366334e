//! Tests of the effects of the directory's changes on tokens and secrets.

use doorward_domain::{IdGenerator, RandomIdGenerator, Timestamp};
use doorward_rpc::directory::v1::{Action, Change};
use doorward_storage::testing::TestDatabase;

use super::*;
use crate::{
    audit,
    migrations::MIGRATIONS,
    model::{ApiKey, RevocationTarget},
};

const AT: Timestamp = Timestamp::from_seconds(1_800_000_000);
const USERS: &str = "cc.users";
const MEMBERS: &str = "cc.projects_members";

fn change(cursor: i64, action: Action, data_type: &str, data_key: &str, status: &str) -> Change {
    Change {
        cursor,
        action: action.into(),
        data_type: data_type.to_owned(),
        data_key: data_key.to_owned(),
        status: status.to_owned(),
        changed_at: AT.as_micros(),
        project_gid: None,
    }
}

struct Fixture {
    test: TestDatabase,
    user: Gid,
    /// An API user with a key for `project`.
    robot: Gid,
    project: Gid,
}

impl Fixture {
    async fn new() -> Self {
        let test = TestDatabase::sqlite(&MIGRATIONS);
        let [user, robot, project] = [(); 3].map(|()| RandomIdGenerator.new_gid());
        let insert = move |connection: &mut AnyConnection| {
            store::credential::upsert(connection, user, "hash".to_owned(), AT)?;
            let key = ApiKey {
                user: robot,
                project,
                lookup_hmac: "lookup".to_owned(),
                sealed_key: "sealed".to_owned(),
                created_at: AT,
                last_used_at: None,
            };
            store::api_key::upsert(connection, &key)
        };
        test.database.write(insert).await.unwrap();
        Self {
            test,
            user,
            robot,
            project,
        }
    }

    /// Returns whether tokens were revoked.
    async fn apply(&self, changes: Vec<Change>) -> bool {
        let cursor = changes.last().unwrap().cursor;
        let message = WatchChangesResponse { changes, cursor };
        let write = move |connection: &mut AnyConnection| {
            apply(connection, &message, Duration::from_secs(60))
        };
        self.test.database.write(write).await.unwrap()
    }

    async fn is_revoked(&self, user: Gid) -> bool {
        let find = move |connection: &mut AnyConnection| {
            store::revocation::find(connection, &RevocationTarget::Subject(user))
        };
        let found = self.test.database.read_snapshot(find).await.unwrap();
        found.is_some_and(|revocation| revocation.revoked_at == AT)
    }

    /// Returns the users with a password or an API key.
    async fn with_secrets(&self) -> Vec<Gid> {
        let list = |connection: &mut AnyConnection| {
            let mut users = store::credential::list_users(connection, None, 10)?;
            users.extend(store::api_key::list_users(connection, None, 10)?);
            Ok::<_, doorward_storage::Error>(users)
        };
        self.test.database.read_snapshot(list).await.unwrap()
    }

    /// Returns the details of the audit records.
    async fn audit_details(&self) -> Vec<String> {
        let records = audit::list(
            &self.test.database,
            &audit::Filter::default(),
            audit::RecordPosition::default(),
            10,
        )
        .await;
        records
            .unwrap()
            .into_iter()
            .filter_map(|record| record.detail)
            .collect()
    }
}

#[tokio::test]
async fn deactivated_or_deleted_user_loses_tokens() {
    let cases = [
        (Action::Insert, "active", None),
        (Action::Insert, "invited", None),
        (Action::Update, "active", None),
        (Action::Update, "inactive", Some("user inactive")),
        (Action::Delete, "", Some("user deleted")),
    ];
    for (action, status, detail) in cases {
        let fixture = Fixture::new().await;
        let user = fixture.user.to_string();
        let has_revoked = fixture
            .apply(vec![change(1, action, USERS, &user, status)])
            .await;
        assert_eq!(
            (has_revoked, fixture.is_revoked(fixture.user).await),
            (detail.is_some(), detail.is_some())
        );
        assert_eq!(fixture.audit_details().await, Vec::from_iter(detail));
        let has_secrets = fixture.with_secrets().await.contains(&fixture.user);
        assert_eq!(
            has_secrets,
            action != Action::Delete,
            "a deactivated user can be activated again"
        );
    }
}

#[tokio::test]
async fn end_of_membership_revokes_tokens_of_api_users_only() {
    let fixture = Fixture::new().await;
    let user = fixture.user;
    let robot = fixture.robot;
    let project = fixture.project;
    let others = [
        format!("{project}/{user}"),
        format!("{}/{robot}", RandomIdGenerator.new_gid()),
        robot.to_string(),
        format!("x/{robot}"),
    ];
    let mut changes: Vec<Change> = others
        .iter()
        .map(|key| change(1, Action::Delete, MEMBERS, key, ""))
        .collect();
    changes.push(change(
        1,
        Action::Delete,
        "cc.projects",
        &project.to_string(),
        "",
    ));
    assert!(!fixture.apply(changes).await);
    assert!(!fixture.is_revoked(user).await && !fixture.is_revoked(robot).await);

    let own = format!("{project}/{robot}");
    assert!(
        fixture
            .apply(vec![change(2, Action::Delete, MEMBERS, &own, "")])
            .await
    );
    assert!(fixture.is_revoked(robot).await);
    assert_eq!(fixture.audit_details().await, ["no member any more"]);
}

#[tokio::test]
async fn deleted_api_user_is_audited_once() {
    let fixture = Fixture::new().await;
    let robot = fixture.robot.to_string();
    let own = format!("{}/{}", fixture.project, fixture.robot);
    let user = fixture.user.to_string();
    let changes = vec![
        change(1, Action::Delete, MEMBERS, &own, ""),
        change(2, Action::Delete, USERS, &robot, ""),
        change(3, Action::Update, USERS, &user, "inactive"),
    ];
    assert!(fixture.apply(changes).await);
    assert!(fixture.is_revoked(fixture.robot).await && fixture.is_revoked(fixture.user).await);
    assert_eq!(
        fixture.audit_details().await,
        ["user deleted", "user inactive"]
    );
    assert_eq!(fixture.with_secrets().await, [fixture.user]);
}

#[tokio::test]
async fn change_is_applied_once() {
    let fixture = Fixture::new().await;
    let user = fixture.user.to_string();
    let deactivated = |cursor| change(cursor, Action::Update, USERS, &user, "inactive");
    assert!(fixture.apply(vec![deactivated(5)]).await);
    for again in [vec![deactivated(5)], vec![deactivated(4)]] {
        assert!(!fixture.apply(again).await);
    }
    assert_eq!(fixture.audit_details().await.len(), 1);
    assert!(fixture.apply(vec![deactivated(5), deactivated(6)]).await);
    assert_eq!(fixture.audit_details().await.len(), 2);
}
