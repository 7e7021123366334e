//! Looks after sockets: renews their tokens, and ends those that may stay no longer.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use doorward_domain::ErrorCode;
use serde_json::json;
use socketioxide::socket::Sid;
use tokio::{sync::Semaphore, time::MissedTickBehavior};

use crate::{
    client::{Client, EndReason, Login, SendOutcome},
    host::{TokenError, TokenStatus},
    sockets::Sockets,
};

/// Whoever is not to be trusted any more is told within a second.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
const MAX_RENEWALS: usize = 8;
/// After a renewal that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// For all sockets to be closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) async fn run(sockets: Arc<Sockets>) {
    let renewals = Arc::new(Semaphore::new(MAX_RENEWALS));
    let mut ticks = tokio::time::interval(CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut keys = sockets.host.keys_generation();
    while sockets
        .shutdown
        .run_until_cancelled(ticks.tick())
        .await
        .is_some()
    {
        sockets.sessions.remove_ended();
        let earlier = std::mem::replace(&mut keys, sockets.host.keys_generation());
        for (sid, client) in sockets.clients.list() {
            if client.can_send() == SendOutcome::Closed {
                remove_closed(&sockets, sid, client).await;
                continue;
            }
            check_token(&sockets, &client, earlier != keys, &renewals);
            client.send_expired();
            client.send_end();
        }
    }
    // Clients connect again, and are answered by another gateway.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, sockets.io.close()).await;
}

/// One whose connection ended while it was being connected: nothing else says so.
async fn remove_closed(sockets: &Arc<Sockets>, sid: Sid, client: Arc<Client>) {
    sockets.clients.remove(sid);
    client.end_with(EndReason::Quiet);
    client.send_end();
    sockets.clone().end_client(client).await;
}

fn check_token(
    sockets: &Arc<Sockets>,
    client: &Arc<Client>,
    are_keys_new: bool,
    renewals: &Arc<Semaphore>,
) {
    if client.is_ending() {
        return;
    }
    let login = client.login();
    let mut standing = sockets.host.token_status(&login.claims);
    if are_keys_new && sockets.host.verify_token(&login.token) == Err(TokenError::Invalid) {
        standing = TokenStatus::Invalid;
    }
    match standing {
        TokenStatus::Valid => {}
        TokenStatus::RenewalDue => {
            if Instant::now() >= login.next_renewal_at
                && !client.is_renewing.swap(true, Ordering::AcqRel)
            {
                tokio::spawn(renew_token(
                    sockets.clone(),
                    client.clone(),
                    renewals.clone(),
                ));
            }
        }
        TokenStatus::Invalid => client.end_with(EndReason::Denied),
        TokenStatus::Unknown => client.end_with(EndReason::Quiet),
    }
}

async fn renew_token(sockets: Arc<Sockets>, client: Arc<Client>, renewals: Arc<Semaphore>) {
    let Ok(_place) = renewals.acquire().await else {
        return;
    };
    let login = client.login();
    let renewed = sockets.host.renew(login.token.clone()).await;
    match renewed.map(|token| (sockets.host.verify_token(&token), token)) {
        Ok((Ok(claims), token)) => {
            let told = json!({"JWT": token});
            client.set_login(Login {
                token,
                claims,
                next_renewal_at: Instant::now(),
            });
            if !client.is_ending() && client.emit("authorization", &told) == SendOutcome::Full {
                // It would connect again with the old token.
                client.end_with(EndReason::Quiet);
            }
        }
        Err(failure) if failure.code == ErrorCode::Unauthenticated => {
            client.end_with(EndReason::Denied)
        }
        // The old one does for a while longer.
        Ok((Err(_), _)) | Err(_) => {
            let Login { token, claims, .. } = &*login;
            let renew_at = Instant::now() + PAUSE;
            client.set_login(Login {
                token: token.clone(),
                claims: claims.clone(),
                next_renewal_at: renew_at,
            });
        }
    }
    client.is_renewing.store(false, Ordering::Release);
}
