//! `/sync/get` while everything changes: nothing is lost, nothing comes twice, and nobody goes back. Who follows the feed
//! ends with what a fresh init shows.

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

use crate::sync::following::{reader::Reader, scenario::Scenario, writers::Writer};

on_both_databases![
    syncing_readers_converge_to_init,
    distant_cursor_is_synced_in_pages,
];

/// Invitations need mails.
const SETTINGS: [(&str, &str); 2] = [("DOORWARD_LOG_MAILS", "true"), MANY_WRITES];
const NAMES: [&str; 5] = ["ann", "ben", "cas", "dan", "eva"];
const WRITERS: usize = 4;
/// How often each story of the writers happens.
const TIMES: usize = 5;
const BETWEEN_POLLS: Duration = Duration::from_millis(30);

/// With SQLite in one process; with PostgreSQL over two directories, of which one is killed in the middle.
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
            let doors = [split.http.clone(), gateway.http()];
            let kill = async |world: &Scenario<'_>| {
                world.wait_for(world.half()).await;
                split.restart(&mut directory).await;
            };
            follow_writers(&split.installation, &doors, kill).await;
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum ReadingStyle {
    Steady,
    /// Stops and goes on.
    Pausing,
    /// From a fresh init, in the middle.
    Anew,
    /// Reads all of it at the end.
    Late,
}

async fn follow_writers(
    installation: &Installation,
    doors: &[Http],
    meanwhile: impl AsyncFnOnce(&Scenario<'_>),
) {
    let seed = random::seed();
    eprintln!("TEST_SEED={seed}");
    let people = join_all(NAMES.map(|name| User::create(installation, &doors[0], name))).await;
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
        (doors, &people),
        projects,
        (TIMES, &mut Random::new(seed, 0)),
    );

    let followers = people
        .iter()
        .map(|user| (user.username.as_str(), user.token.as_str()))
        .chain([("robot", &*robot)]);
    let manners = [
        ReadingStyle::Steady,
        ReadingStyle::Pausing,
        ReadingStyle::Anew,
        ReadingStyle::Late,
        ReadingStyle::Steady,
        ReadingStyle::Pausing,
    ];
    let readers = followers
        .zip(manners)
        .zip(1..)
        .map(async |(((name, token), manner), number)| {
            let name = format!("{name} ({manner:?})");
            let reader = Reader::new(doors, &name, token, Random::new(seed, number)).await;
            follow(reader, manner, (&world, Random::new(seed, 10 + number))).await
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
        "{} changes; rows that each was told: {rows:?}",
        world.changes()
    );
}

/// Until the writers are done.
async fn follow<'a>(
    mut reader: Reader<'a>,
    manner: ReadingStyle,
    stage: (&Scenario<'_>, Random),
) -> Reader<'a> {
    let (world, mut random) = stage;
    let mut begins_anew = matches!(manner, ReadingStyle::Anew);
    while !world.is_finished() {
        match manner {
            ReadingStyle::Pausing => world.wait_for(world.begun() + random.below(10)).await,
            ReadingStyle::Anew if begins_anew && world.begun() >= world.half() => {
                reader.restart().await;
                begins_anew = false;
            }
            ReadingStyle::Late => world.wait_for(usize::MAX).await,
            ReadingStyle::Steady | ReadingStyle::Anew => {}
        }
        if !reader.read().await {
            tokio::time::sleep(BETWEEN_POLLS).await;
        }
    }
    reader
}

/// Much more than a page has, and more of it while he reads.
async fn distant_cursor_is_synced_in_pages(backend: Backend) {
    const PROGRAMS: usize = 130;
    let app = App::with_settings(backend, &[MANY_WRITES]).await;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
    let project = app.installation.create_project("ann", "Herbarium").await;
    app.installation.add_member(&project, "ben").await;
    let doors = std::slice::from_ref(&app.http);
    let mut reader = Reader::new(doors, "ben", &ben.token, Random::new(0, 0)).await;
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
