//! Sends requests of five kinds in a loop while a test causes a failure. Each kind must get its
//! expected response or 503.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;

use crate::{http::Http, installation::PASSWORD, response::Response};

/// A kind of request, with one expected status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    RightPassword,
    WrongPassword,
    UnknownUser,
    Init,
    BadToken,
}

/// Numbers of requests with the expected response and with 503.
#[derive(Debug, Default)]
pub struct Count {
    pub answered: usize,
    pub unavailable: usize,
}

/// Running senders, one for each kind of request.
pub struct Load {
    senders: Vec<(Request, JoinHandle<Count>)>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Starts the senders. The user `ann` must exist and have this token.
    #[must_use]
    pub fn start(http: &Http, token: &str) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let sender = |request: Request| {
            (
                request,
                tokio::spawn(request.repeat(http.clone(), token.to_owned(), stop.clone())),
            )
        };
        let senders = Request::ALL.map(sender).into();
        Self { senders, stop }
    }

    /// Stops the senders and fails if any response was neither expected nor 503.
    pub async fn stop(self) -> Vec<(Request, Count)> {
        self.stop.store(true, Ordering::Relaxed);
        let mut counts = Vec::new();
        for (request, sender) in self.senders {
            counts.push((request, sender.await.expect("only expected responses")));
        }
        counts
    }
}

impl Request {
    const ALL: [Self; 5] = [
        Self::RightPassword,
        Self::WrongPassword,
        Self::UnknownUser,
        Self::Init,
        Self::BadToken,
    ];

    async fn repeat(self, http: Http, token: String, stop: Arc<AtomicBool>) -> Count {
        let mut count = Count::default();
        while !stop.load(Ordering::Relaxed) {
            let answer = self.send(&http, &token).await;
            if answer.status == self.expected_status() {
                count.answered += 1;
            } else {
                answer.assert_unavailable();
                count.unavailable += 1;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        count
    }

    async fn send(self, http: &Http, token: &str) -> Response {
        match self {
            Self::RightPassword => http.login("ann", PASSWORD).await,
            Self::WrongPassword => http.login("ann", "a wrong password").await,
            Self::UnknownUser => http.login("nobody", PASSWORD).await,
            Self::Init => http.init(token).await,
            Self::BadToken => http.init("garbage").await,
        }
    }

    /// Returns the status of this request while nothing fails.
    fn expected_status(self) -> u16 {
        match self {
            Self::RightPassword | Self::Init => 200,
            Self::WrongPassword | Self::UnknownUser => 403,
            Self::BadToken => 401,
        }
    }
}
