//! Tests of the retention of the change feed, on both databases.

mod support;

use std::time::Duration;

use diesel::connection::SimpleConnection;
use doorward_directory::{Error, SyncCursors};
use doorward_storage::AnyConnection;
use support::both;

/// Sets the tail as the migration did that introduced feed events: older changes have no events, so
/// cursors before it must stay expired.
#[tokio::test]
async fn changes_without_events_stay_expired() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        fixture.project(&ann, "One").await;
        let head = fixture.directory.feed_head().await.unwrap();
        let migrate = move |connection: &mut AnyConnection| {
            let sql = format!("UPDATE feed_tail SET changes_cursor = 0, events_cursor = {head}");
            Ok::<_, doorward_storage::Error>(connection.batch_execute(&sql)?)
        };
        fixture.directory.database().write(migrate).await.unwrap();
        fixture
            .directory
            .delete_old_changes(Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(fixture.directory.list_changes(head).await.unwrap(), []);
        let since = |cursor| SyncCursors {
            cc_cursor: Some(cursor),
            ..SyncCursors::default()
        };
        let expired = fixture
            .directory
            .sync(ann.gid.into(), since(head - 1), true)
            .await;
        assert!(matches!(expired, Err(Error::CursorExpired)), "{expired:?}");
        assert_eq!(
            fixture
                .directory
                .sync(ann.gid.into(), since(head), true)
                .await
                .unwrap()
                .rows,
            []
        );
    }
}
