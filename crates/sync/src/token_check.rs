//! The periodic check of all sockets: renews their tokens and ends sockets whose token is no longer
//! valid. It also resends what a full queue rejected.

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

/// Interval of the check. It must be well below a second, the documented time in which a socket
/// with a revoked token is ended.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// Maximum number of renewals in flight.
const MAX_RENEWALS: usize = 8;
/// Pause of a socket after a failed renewal.
const PAUSE: Duration = Duration::from_secs(1);
/// Maximum time to close all sockets at a shutdown.
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
        // Signatures are verified again only after a change of the keys, because that is expensive
        // for thousands of sockets.
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
    // The clients reconnect, to another gateway if there is one.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, sockets.io.close()).await;
}

/// Removes a socket whose connection ended while the socket was being connected. The library does
/// not call the disconnect handler for it.
async fn remove_closed(sockets: &Arc<Sockets>, sid: Sid, client: Arc<Client>) {
    sockets.clients.remove(sid);
    client.end_with(EndReason::Silent);
    client.send_end();
    sockets.clone().end_client(client).await;
}

/// Ends the socket if its token is not valid, or starts a renewal if one is due.
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
    let mut status = sockets.host.token_status(&login.claims);
    if are_keys_new && sockets.host.verify_token(&login.token) == Err(TokenError::Invalid) {
        status = TokenStatus::Invalid;
    }
    match status {
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
        TokenStatus::Invalid => client.end_with(EndReason::TokenInvalid),
        TokenStatus::Unknown => client.end_with(EndReason::Silent),
    }
}

async fn renew_token(sockets: Arc<Sockets>, client: Arc<Client>, renewals: Arc<Semaphore>) {
    let Ok(_permit) = renewals.acquire().await else {
        return;
    };
    let login = client.login();
    let renewed = sockets.host.renew(login.token.clone()).await;
    match renewed.map(|token| (sockets.host.verify_token(&token), token)) {
        Ok((Ok(claims), token)) => {
            let message = json!({"JWT": token});
            client.set_login(Login {
                token,
                claims,
                next_renewal_at: Instant::now(),
            });
            if !client.is_ending() && client.emit("authorization", &message) == SendOutcome::Full {
                // The client did not receive the new token and would use the old one until it
                // expires. It must reconnect now, while the old one can still be renewed.
                client.end_with(EndReason::Silent);
            }
        }
        Err(error) if error.code == ErrorCode::Unauthenticated => {
            client.end_with(EndReason::TokenInvalid);
        }
        // The old token is still valid for a while, so the next check tries again.
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
