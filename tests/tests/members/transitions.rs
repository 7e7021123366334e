//! Tests each cell of the table in `docs/membership.md` over HTTP: for example, an invited user
//! calls `accept_invite`, and afterwards the status must be `active`.

use doorward_domain::{IdGenerator, RandomIdGenerator};
use doorward_tests::{
    Backend, MANY_WRITES, MailApp, Response, User, on_both_databases, sql::execute,
};
use serde_json::json;

use crate::api_keys::calls::UNKNOWN_GID;

on_both_databases![documented_transitions_hold];

const DOCS: &str = include_str!("../../../docs/membership.md");

/// Returns the cells of a row of a Markdown table.
fn cells(line: &'static str) -> Vec<&'static str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

struct Fixture {
    app: MailApp,
    /// The owner of all projects.
    ann: User,
    /// The user whose membership is tested, except for the rows of owners and API users.
    ben: User,
}

/// The separate project of one cell, with the membership in the state of the row.
struct TransitionCase<'a> {
    fixture: &'a Fixture,
    project: String,
    subject: String,
    token: String,
}

impl Fixture {
    /// Creates a project and brings the membership into a state.
    async fn case(&self, before: &str) -> TransitionCase<'_> {
        let (created, _) = self
            .ann
            .call("/api/projects/create", &json!({"name": before}))
            .await
            .success();
        let project = created["project"].as_str().expect("a gid").to_owned();
        let (subject, token) = match before {
            "owner" => (self.ann.gid.clone(), self.ann.token.clone()),
            "API user" => {
                let robot = self.ann.create_api_user(&project, "Robot").await;
                (robot.gid.clone(), robot.auth().await.token())
            }
            _ => (self.ben.gid.clone(), self.ben.token.clone()),
        };
        let case = TransitionCase {
            fixture: self,
            project,
            subject,
            token,
        };
        let steps: &[&str] = match before {
            "none" | "owner" | "API user" => &[],
            "invited" => &["invite"],
            "declined" => &["invite", "account/decline_invite"],
            "active" => &["invite", "accept_invite"],
            "inactive" => &["invite", "accept_invite", "deactivate"],
            other => panic!("unknown state in docs/membership.md: {other}"),
        };
        for step in steps {
            case.call(step).await.success();
        }
        if before == "owner" {
            // An owner has an invitation id if the project was transferred to a member who had been
            // invited.
            let set = format!(
                "UPDATE memberships SET invitation_id = '{}' WHERE project_gid = '{}'",
                RandomIdGenerator.new_gid(),
                case.project
            );
            execute(&self.app.installation.databases.directory, &set);
        }
        case
    }
}

impl TransitionCase<'_> {
    async fn call(&self, call: &str) -> Response {
        let Fixture { app, ann, ben } = self.fixture;
        // A membership that did not start with an invitation has no id for the link.
        let invitation = app.installation.invitation(&self.project, &self.subject);
        let body = json!({
            "username_or_email": if self.subject == ann.gid { &ann.username } else { &ben.username },
            "user": self.subject, "invitee": invitation.unwrap_or_else(|| UNKNOWN_GID.to_owned()), "project": self.project,
        });
        match call {
            "invite" | "resend_invite" | "remove" | "deactivate" | "activate" => {
                ann.call(&format!("/api/p/{}/members/{call}", self.project), &body)
                    .await
            }
            "accept_invite" | "account/decline_invite" | "leave_project" => {
                let path = format!("/api/account/{}", call.trim_start_matches("account/"));
                app.http
                    .post(&path)
                    .bearer(&self.token)
                    .json(&body)
                    .send()
                    .await
            }
            "init_invite" | "decline_invite" => {
                app.http
                    .post_anonymous(&format!("/api/{call}"), &body)
                    .await
            }
            other => panic!("unknown call in docs/membership.md: {other}"),
        }
    }

    /// Returns the state of the membership as the owner sees it.
    async fn state(&self) -> String {
        let body = json!({"project": self.project, "member": self.subject});
        let answer = self.fixture.ann.call("/api/members/get", &body).await;
        if answer.status == 422 {
            answer.assert_unprocessable("member_not_found");
            return "none".to_owned();
        }
        let membership = answer.success().1["cc.projects_members"][0].clone();
        match membership["roles"][0].as_str() {
            Some("owner") => "owner".to_owned(),
            Some("api") => "API user".to_owned(),
            _ => membership["status"].as_str().expect("a status").to_owned(),
        }
    }
}

async fn documented_transitions_hold(backend: Backend) {
    let app = MailApp::with(backend, &[MANY_WRITES]).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let fixture = Fixture { app, ann, ben };
    let mut lines = DOCS
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    let head = cells(lines.next().expect("a head"));
    let rows: Vec<_> = lines.skip(1).map(cells).collect();
    assert_eq!((head.len(), rows.len()), (11, 7));
    for row in rows {
        let before = row[0];
        for (call, expected) in head
            .iter()
            .zip(&row)
            .skip(1)
            .filter(|(_, expected)| **expected != "-")
        {
            let case = fixture.case(before).await;
            assert_eq!(case.state().await, before);
            let answer = case.call(call).await;
            println!("{before}, {call}: {answer:?}");
            let after = match expected.split_once(' ') {
                Some(("422", reason)) => {
                    answer.assert_unprocessable(reason);
                    before
                }
                _ if *expected == "1004" => {
                    answer.assert_invite_invalid();
                    before
                }
                _ if *expected == "403" => {
                    answer.assert_forbidden();
                    before
                }
                _ => {
                    answer.success();
                    expected
                }
            };
            assert_eq!(case.state().await, after, "{before}, {call}");
        }
    }
}
