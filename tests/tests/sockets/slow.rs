//! Tests sockets that do not read: they use little memory, do not delay other sockets, and are
//! notified if they have missed rows.

use std::time::Duration;

use doorward_tests::{
    App, Backend, Role, WebSocket, eventually, on_both_databases, websocket::cursors,
};
use futures_util::future::join_all;
use serde_json::json;

use crate::sockets::project_feed::Fixture;

on_both_databases![
    slow_reader_in_time_misses_nothing,
    late_reader_gets_cursor_expired_without_delaying_others
];

const MIB: u64 = 1024 * 1024;
/// Length of the data keys: close to the maximum, so an event of 1,000 rows has 300 KB.
const KEY_BYTES: usize = 195;

async fn slow_reader_in_time_misses_nothing(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let before = scene.position().await;
    let mut slow = scene.follow(&scene.ben).await;
    for number in 0..30 {
        scene.publish(1000, &format!("r{number}-")).await;
    }
    let delivered = slow.rows(30_000).await;
    assert_eq!(
        cursors(&delivered),
        (before + 1..=before + 30_000).collect::<Vec<_>>()
    );
}

async fn late_reader_gets_cursor_expired_without_delaying_others(backend: Backend) {
    // More than the buffers of the operating system and the 64 events that are queued for a socket.
    const EVENTS: i64 = 250;
    const ROWS: i64 = 100;
    let mut scene = Fixture::new(backend).await;
    let before = scene.position().await;
    let mut slow = scene.follow(&scene.ben).await;
    let mut brisk = scene.follow(&scene.ann).await;
    for event in 1..=EVENTS {
        let until = scene.publish(ROWS as usize, &"k".repeat(KEY_BYTES)).await;
        assert_eq!(until, before + event * ROWS);
        // The slow socket must not delay this one.
        let delivered = tokio::time::timeout(Duration::from_secs(10), brisk.rows(ROWS as usize))
            .await
            .expect("rows without a delay");
        assert_eq!(
            cursors(&delivered),
            (until - ROWS + 1..=until).collect::<Vec<_>>()
        );
    }
    let mut last = before;
    let end = loop {
        let said = slow.says().await.expect("an event");
        if said[0] != "sync" {
            break said;
        }
        for cursor in cursors(said[1].as_array().expect("a list")) {
            assert_eq!(cursor, last + 1);
            last = cursor;
        }
    };
    assert!(last > before && last < before + EVENTS * ROWS, "{last}");
    assert_eq!(end, json!(["cursor_expired"]));
    assert!(
        scene
            .split
            .ops(Role::Gateway)
            .metric("doorward_slow_sockets_total")
            .await
            >= 1.0
    );
    // Without another `init` it receives nothing more.
    let until = scene.publish(1, "unheard-").await;
    assert_eq!(cursors(&brisk.rows(1).await), [until]);
    // The same socket continues from its last cursor.
    let answer = slow.ask(&json!(["init", scene.both_from(last)])).await;
    assert_eq!(answer["result"]["sync"][0]["cursor"], last + 1);
    let listed = answer["result"]["sync"].as_array().expect("a list").len();
    let rest = slow
        .rows(usize::try_from(until - last).expect("a count") - listed)
        .await;
    assert_eq!(cursors(&rest).last(), Some(&until));
}

/// A socket that does not read is disconnected when its queue is full, or when it does not answer a
/// ping.
#[tokio::test(flavor = "multi_thread")]
async fn socket_that_never_reads_is_disconnected() {
    let mut scene = Fixture::new(Backend::Sqlite).await;
    let mut empty = WebSocket::connect(scene.ben.http.address(), &scene.ben.token).await;
    assert_eq!(empty.ask(&json!(["init", {}])).await["success"], true);
    let full = scene.follow(&scene.ben).await;
    let peak = scene
        .split
        .process(Role::Gateway)
        .peak_bytes()
        .expect("a running process");
    for _ in 0..100 {
        scene.publish(1000, &"k".repeat(KEY_BYTES)).await;
    }
    let ops = scene.split.ops(Role::Gateway);
    eventually("a full queue", Duration::from_secs(10), async || {
        (ops.metric("doorward_slow_sockets_total").await >= 1.0).then_some(())
    })
    .await;
    let grown = (scene
        .split
        .process(Role::Gateway)
        .peak_bytes()
        .expect("a running process")
        - peak)
        / MIB;
    assert!(grown < 64, "{grown} MiB");
    eventually("no sockets", Duration::from_secs(75), async || {
        (ops.metric("doorward_sockets_open").await < 1.0).then_some(())
    })
    .await;
    drop((full, empty));
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_sockets_release_memory() {
    const SOCKETS: u64 = 300;
    const ROUNDS: usize = 12;
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let from = ann.init().await.success().0["cc.cursor"].clone();
    let mut sizes = Vec::new();
    for _ in 0..ROUNDS {
        let sockets = join_all((0..SOCKETS).map(async |_| {
            let mut socket = WebSocket::connect(app.http.address(), &ann.token).await;
            assert_eq!(
                socket.ask(&json!(["init", {"cc_cursor": from}])).await["success"],
                true
            );
            socket
        }));
        drop(sockets.await);
        eventually("no sockets", Duration::from_secs(10), async || {
            (app.ops.metric("doorward_sockets_open").await < 1.0).then_some(())
        })
        .await;
        sizes.push(app.process.resident_bytes().expect("a running process") / 1024);
    }
    // The first rounds fill memory that later rounds use again; after that it grows slowly, because
    // the allocator's memory becomes fragmented. A socket that is not released takes 20 KiB, and
    // less than a quarter of that may remain for each socket.
    let filled = sizes[3];
    let last = sizes[ROUNDS - 1];
    assert!(
        last < filled + (ROUNDS as u64 - 4) * SOCKETS * 5,
        "{sizes:?} KiB"
    );
}
