//! Tests of the announcement of API versions in the feed, on both databases.

mod support;

use doorward_directory::{Error, SyncCursors, SyncPage, model::Action};
use support::{Fixture, both};

async fn announce(fixture: &Fixture, version: &str) -> Result<(), Error> {
    fixture
        .directory
        .announce_api_version(version.to_owned())
        .await
}

#[tokio::test]
async fn newer_api_version_is_announced_once() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        let ben = fixture.user("ben").await;
        fixture.project(&ann, "Herbarium").await;
        let before = fixture.directory.feed_head().await.unwrap();
        // Returns the rows after a cursor, which are the same for users with and without projects.
        let synced = async |since: i64| {
            let since = SyncCursors {
                cc_cursor: Some(since),
                ..SyncCursors::default()
            };
            let pages: [SyncPage; 2] = [
                fixture
                    .directory
                    .sync(ann.gid.into(), since, false)
                    .await
                    .unwrap(),
                fixture
                    .directory
                    .sync(ben.gid.into(), since, false)
                    .await
                    .unwrap(),
            ];
            assert_eq!(pages[0].rows, pages[1].rows);
            assert!(
                pages[0]
                    .rows
                    .iter()
                    .all(|row| row.action == Action::Update && row.data_type == "cc.version")
            );
            let [page, _] = pages;
            page.rows
                .into_iter()
                .map(|row| (row.cursor - before, row.data_key))
                .collect::<Vec<_>>()
        };
        // The first version is stored without an announcement: no client has seen another one.
        announce(&fixture, "2026.01.001").await.unwrap();
        for same_or_older in ["2026.01.001", "2025.12.999", "2026.01.000"] {
            announce(&fixture, same_or_older).await.unwrap();
            assert_eq!(synced(before).await, [], "{same_or_older}");
        }
        announce(&fixture, "2026.01.002").await.unwrap();
        let newer = (1, "2026.01.002".to_owned());
        for same_or_older in ["2026.01.002", "2026.01.001"] {
            announce(&fixture, same_or_older).await.unwrap();
            assert_eq!(
                synced(before).await,
                std::slice::from_ref(&newer),
                "{same_or_older}"
            );
        }
        announce(&fixture, "2026.11.001").await.unwrap();
        assert_eq!(synced(before).await, [newer, (2, "2026.11.001".to_owned())]);
        assert_eq!(synced(before + 1).await, [(2, "2026.11.001".to_owned())]);
        assert_eq!(synced(before + 2).await, []);
    }
}

#[tokio::test]
async fn one_of_several_servers_announces_the_api_version() {
    for fixture in both() {
        announce(&fixture, "2026.01.001").await.unwrap();
        let before = fixture.directory.feed_head().await.unwrap();
        let calls = (0..4).map(|_| announce(&fixture, "2026.02.001"));
        let results = futures_util::future::join_all(calls).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        let changes = fixture.directory.list_changes(before).await.unwrap();
        let [change] = changes.as_slice() else {
            panic!("{changes:?}")
        };
        assert_eq!(
            (change.action, change.data_type.as_str()),
            (Action::Update, "cc.version")
        );
        assert_eq!(
            (change.data_key.as_str(), change.project),
            ("2026.02.001", None)
        );
    }
}

#[tokio::test]
async fn services_cannot_publish_an_api_version() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        let project = fixture.project(&ann, "Herbarium").await;
        let data_type = "cc.version".to_owned();
        let data_key = "2099.01.001".to_owned();
        let row = doorward_directory::PublishedRow {
            action: Action::Update,
            data_type,
            data_key,
        };
        assert!(
            fixture
                .directory
                .publish(project.gid, vec![row])
                .await
                .is_err()
        );
    }
}
