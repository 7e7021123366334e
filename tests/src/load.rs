//! Requests of every kind, one after the other, while something is being broken. The answer is right or it is 503.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;

use crate::{Answer, Http, PASSWORD};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    RightPassword,
    WrongPassword,
    UnknownUser,
    Init,
    BadToken,
}

/// How many were answered, and how many with 503.
#[derive(Debug, Default)]
pub struct Count {
    pub answered: usize,
    pub unavailable: usize,
}

pub struct Load {
    senders: Vec<(Request, JoinHandle<Count>)>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// By ann, who has this token.
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

    /// Ends it. Any answer that was neither right nor 503 fails the test.
    pub async fn stop(self) -> Vec<(Request, Count)> {
        self.stop.store(true, Ordering::Relaxed);
        let mut counts = Vec::new();
        for (request, sender) in self.senders {
            counts.push((request, sender.await.expect("right answers")));
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
            if answer.status == self.answer() {
                count.answered += 1;
            } else {
                answer.assert_unavailable();
                count.unavailable += 1;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        count
    }

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
