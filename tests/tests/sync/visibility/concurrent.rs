//! Tests reading during concurrent writes: intermediate states can vary, but the final state must
//! equal an init.

use std::sync::atomic::{AtomicBool, Ordering};

use doorward_tests::{Backend, Response, on_both_databases};
use futures_util::future::join_all;
use serde_json::json;

use crate::sync::visibility::Fixture;

on_both_databases![reading_during_writes_converges_to_init];

const ROUNDS: usize = 12;

/// Concurrent writers can cause rejections, but no other errors.
fn assert_understood(answer: &Response) {
    assert!([200, 403, 422].contains(&answer.status), "{answer:?}");
}

impl Fixture {
    /// Repeatedly changes members, users and projects; each writer makes different calls.
    async fn write(&self, writer: usize) {
        let own = json!({"project": self.herbarium});
        let dan = json!({"user": self.dan.gid});
        let invite = json!({"username_or_email": "dan"});
        for round in 0..ROUNDS {
            let answers = match writer {
                0 => [
                    self.owner("members/invite", &invite).await,
                    self.dan.call("/api/account/accept_invite", &own).await,
                    self.owner("members/remove", &dan).await,
                ],
                1 => [
                    self.owner("members/deactivate", &json!({"user": self.ben.gid}))
                        .await,
                    self.ben
                        .call(
                            "/api/account/update",
                            &json!({"name": format!("Ben {round}")}),
                        )
                        .await,
                    self.owner("members/activate", &json!({"user": self.ben.gid}))
                        .await,
                ],
                2 => [
                    self.ben
                        .call("/api/projects/delete", &json!({"project": self.garden}))
                        .await,
                    self.cas
                        .call(
                            "/api/account/update",
                            &json!({"name": format!("Cas {round}")}),
                        )
                        .await,
                    self.ben
                        .call("/api/projects/undelete", &json!({"project": self.garden}))
                        .await,
                ],
                _ => [
                    self.ann.call("/api/projects/delete", &own).await,
                    self.ann.call("/api/projects/undelete", &own).await,
                    self.owner(
                        "apikeys/update",
                        &json!({"user": self.robot.gid, "name": format!("{round}")}),
                    )
                    .await,
                ],
            };
            answers.iter().for_each(assert_understood);
        }
    }
}

async fn reading_during_writes_converges_to_init(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let mut audience = std::mem::take(&mut scene.audience);
    let is_over = AtomicBool::new(false);
    let write = async {
        join_all((0..4).map(|writer| scene.write(writer))).await;
        is_over.store(true, Ordering::SeqCst);
    };
    let read = async {
        while !is_over.load(Ordering::SeqCst) {
            audience.sync_concurrently().await;
        }
    };
    tokio::join!(write, read);
    audience.sync_to_end().await;
}
