//! PostgreSQL stopped and started again under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use doorward_tests::{Answer, App, Http, Installation, PASSWORD, Postgres, backend::Databases, eventually};
use tokio::task::JoinHandle;

const OUTAGE: Duration = Duration::from_secs(2);
const RECOVERY: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
enum Request {
    RightPassword,
    WrongPassword,
    UnknownUser,
    Init,
    BadToken,
}

impl Request {
    const ALL: [Self; 5] = [Self::RightPassword, Self::WrongPassword, Self::UnknownUser, Self::Init, Self::BadToken];

    async fn send(self, http: &Http, token: &str) -> Answer {
        match self {
            Self::RightPassword => http.login("ann", PASSWORD).await,
            Self::WrongPassword => http.login("ann", "a wrong password").await,
            Self::UnknownUser => http.login("nobody", PASSWORD).await,
            Self::Init => http.init(token).await,
            Self::BadToken => http.init("garbage").await,
        }
    }

    /// What it must be answered, when it is answered at all.
    fn answer(self) -> u16 {
        match self {
            Self::RightPassword | Self::Init => 200,
            Self::WrongPassword | Self::UnknownUser => 403,
            Self::BadToken => 401,
        }
    }
}

/// How many were answered, and how many with 503.
#[derive(Default)]
struct Count {
    answered: usize,
    unavailable: usize,
}

/// Sends requests of one kind until it is told to stop. An answer that is neither right nor 503 fails the test.
fn load(request: Request, http: &Http, token: &str, stop: &Arc<AtomicBool>) -> JoinHandle<Count> {
    let (http, token, stop) = (http.clone(), token.to_owned(), stop.clone());
    tokio::spawn(async move {
        let mut count = Count::default();
        while !stop.load(Ordering::Relaxed) {
            let answer = request.send(&http, &token).await;
            if answer.status == request.answer() {
                count.answered += 1;
            } else {
                answer.assert_unavailable();
                count.unavailable += 1;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        count
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgresql_is_away_answers_are_503_and_never_wrong() {
    let postgres = Postgres::start();
    let directory = tempfile::tempdir().expect("a directory");
    let app = App::of(Installation::over(Databases::on(&postgres), directory)).await;
    let ann = app.user("ann").await;
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = Request::ALL.map(|request| (request, load(request, &app.http, &ann.token, &stop))).into();

    for _ in 0..2 {
        postgres.stop();
        eventually("503", RECOVERY, async || (app.http.login("ann", PASSWORD).await.status == 503).then_some(())).await;
        eventually("not ready", RECOVERY, async || (app.ops.status("/health/ready").await == Some(503)).then_some(()))
            .await;
        assert_eq!(app.http.status("/api/ping").await, Some(200));
        assert_eq!(app.ops.status("/health/live").await, Some(200));
        tokio::time::sleep(OUTAGE).await;

        postgres.start_again();
        eventually("a login", RECOVERY, async || (app.http.login("ann", PASSWORD).await.status == 200).then_some(()))
            .await;
        eventually("an init", RECOVERY, async || (ann.init().await.status == 200).then_some(())).await;
        eventually("ready", RECOVERY, async || (app.ops.status("/health/ready").await == Some(200)).then_some(()))
            .await;
    }

    stop.store(true, Ordering::Relaxed);
    for (request, load) in load {
        let count = load.await.expect("right answers");
        assert!(count.answered > 0);
        assert_eq!(count.unavailable > 0, !matches!(request, Request::BadToken));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_its_database_fails_and_tells_no_secret() {
    let postgres = Postgres::start();
    let directory = tempfile::tempdir().expect("a directory");
    let installation = Installation::over(Databases::on(&postgres), directory);
    installation.cli(&["migrate"], "").await.succeeded();
    postgres.stop();
    let output = installation.cli(&["user", "list"], "").await.failed(1);
    assert!(!output.stderr.contains("panicked") && !output.stderr.contains("throw-away"), "{output}");
    postgres.start_again();
    installation.cli(&["user", "list"], "").await.succeeded();
}
