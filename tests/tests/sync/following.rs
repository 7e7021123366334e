//! Tests `/sync/get` under concurrent changes: no row is lost or repeated, cursors never go back,
//! and a client that follows the feed ends with the same data as a new init.
//!
//! Example with one reader: its init has the project P, named "Of ann", and the cursor 7.
//! 1. A writer renames P: the row `8 UPDATE cc.projects P` makes the reader fetch P again.
//! 2. The reader is removed from P: `9 DELETE cc.projects P` removes the entry.
//! 3. The writers end. `/sync/get` from 9 returns no rows, and a new init must also lack P.

pub(crate) mod reader;
pub(crate) mod scenario;
pub(crate) mod writers;

use std::time::Duration;

use doorward_tests::{
    App, Backend, Http, Installation, MANY_WRITES, Services, User, on_both_databases,
    random::{self, Random},
};
use futures_util::future::join_all;
use serde_json::json;

use crate::sync::following::{
    reader::Reader,
    scenario::{Scenario, Story},
    writers::Writer,
};

on_both_databases![
    syncing_readers_converge_to_init,
    distant_cursor_is_synced_in_pages,
];

/// Settings of the servers; invitations need a transport of mails.
const SETTINGS: [(&str, &str); 2] = [("DOORWARD_LOG_MAILS", "true"), MANY_WRITES];
const NAMES: [&str; 5] = ["ann", "ben", "cas", "dan", "eva"];
const WRITERS: usize = 4;
/// Number of times that each story of the writers is performed.
const TIMES: usize = 5;
const BETWEEN_POLLS: Duration = Duration::from_millis(30);

/// SQLite is tested with one process, PostgreSQL with two directories, one of which is killed
/// halfway.
async fn syncing_readers_converge_to_init(backend: Backend) {
    match backend {
        Backend::Sqlite => {
            let app = App::with_settings(backend, &SETTINGS).await;
            follow_writers(
                &app.installation,
                std::slice::from_ref(&app.http),
                async |_| {},
            )
            .await;
        }
        Backend::Postgres => {
            let split = Services::with(backend, &SETTINGS).await;
            let (mut directory, gateway) = split.start_second_directory_and_gateway().await;
            let gateways = [split.http.clone(), gateway.http()];
            let kill = async |world: &Scenario<'_>| {
                world.wait_for(world.half()).await;
                split.restart(&mut directory).await;
            };
            follow_writers(&split.installation, &gateways, kill).await;
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum ReadingStyle {
    Steady,
    /// Pauses and continues.
    Pausing,
    /// Starts again from a new init halfway.
    Restarting,
    /// Reads all rows at the end.
    Late,
}

async fn follow_writers(
    installation: &Installation,
    gateways: &[Http],
    meanwhile: impl AsyncFnOnce(&Scenario<'_>),
) {
    let seed = random::seed();
    eprintln!("TEST_SEED={seed}");
    let people = join_all(NAMES.map(|name| User::create(installation, &gateways[0], name))).await;
    let mut projects = Vec::new();
    for owner in &NAMES[..3] {
        projects.push(
            installation
                .create_project(owner, &format!("Of {owner}"))
                .await,
        );
    }
    installation.add_member(&projects[0], "ben").await;
    installation.add_member(&projects[1], "eva").await;
    let robot = people[0]
        .create_api_user(&projects[0], "Robot")
        .await
        .auth()
        .await
        .token();
    let world = Scenario::new(
        installation,
        gateways,
        &people,
        projects,
        Story::shuffled(TIMES, &mut Random::new(seed, 0)),
    );

    let followers = people
        .iter()
        .map(|user| (user.username.as_str(), user.token.as_str()))
        .chain([("robot", &*robot)]);
    let styles = [
        ReadingStyle::Steady,
        ReadingStyle::Pausing,
        ReadingStyle::Restarting,
        ReadingStyle::Late,
        ReadingStyle::Steady,
        ReadingStyle::Pausing,
    ];
    let readers = followers
        .zip(styles)
        .zip(1..)
        .map(async |(((name, token), style), number)| {
            let name = format!("{name} ({style:?})");
            let reader = Reader::new(gateways, &name, token, Random::new(seed, number)).await;
            follow(reader, style, &world, Random::new(seed, 10 + number)).await
        });
    let writers = (0..WRITERS)
        .map(|number| Writer::new(&world, number, Random::new(seed, 20 + number)).write());
    let write = async {
        join_all(writers).await;
        Writer::new(&world, WRITERS, Random::new(seed, 30))
            .add_project_activity()
            .await;
        world.end();
    };
    let (mut readers, (), ()) = tokio::join!(join_all(readers), write, meanwhile(&world));
    join_all(readers.iter_mut().map(Reader::assert_matches_init)).await;
    let rows: Vec<usize> = readers.iter().map(Reader::rows).collect();
    eprintln!(
        "{} changes; rows that each reader received: {rows:?}",
        world.changes()
    );
}

/// Reads until the writers are done.
async fn follow<'a>(
    mut reader: Reader<'a>,
    style: ReadingStyle,
    world: &Scenario<'_>,
    mut random: Random,
) -> Reader<'a> {
    let mut must_restart = matches!(style, ReadingStyle::Restarting);
    while !world.is_finished() {
        match style {
            ReadingStyle::Pausing => world.wait_for(world.begun() + random.below(10)).await,
            ReadingStyle::Restarting if must_restart && world.begun() >= world.half() => {
                reader.restart().await;
                must_restart = false;
            }
            ReadingStyle::Late => world.wait_for(usize::MAX).await,
            ReadingStyle::Steady | ReadingStyle::Restarting => {}
        }
        if !reader.read().await {
            tokio::time::sleep(BETWEEN_POLLS).await;
        }
    }
    reader
}

/// There are more rows than fit in a page, and more rows are added between the pages.
async fn distant_cursor_is_synced_in_pages(backend: Backend) {
    const PROGRAMS: usize = 130;
    let app = App::with_settings(backend, &[MANY_WRITES]).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    app.installation.add_member(&project, "ben").await;
    let gateways = std::slice::from_ref(&app.http);
    let mut reader = Reader::new(gateways, "ben", &ben.token, Random::new(0, 0)).await;
    for number in 0..PROGRAMS {
        ann.api_keys(
            &project,
            "create",
            &json!({"name": format!("Robot {number}")}),
        )
        .await
        .success();
    }
    let come_and_go = async || {
        for call in ["delete", "undelete"] {
            ann.call(
                &format!("/api/projects/{call}"),
                &json!({"project": project}),
            )
            .await
            .success();
        }
    };
    for _ in 0..3 {
        come_and_go().await;
    }
    assert!(reader.read().await);
    assert_eq!(reader.rows(), 1000);
    come_and_go().await;
    reader.assert_matches_init().await;
    assert!(reader.pages > 1, "{} pages", reader.pages);
    assert!(reader.rows() < 2 * 1000, "{} rows", reader.rows());
}
