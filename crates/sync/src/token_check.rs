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
    backend::{TokenError, TokenStatus},
    connected_socket::{ConnectedSocket, EndReason, Login, SendOutcome},
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
    let mut keys = sockets.backend.keys_generation();
    while sockets
        .shutdown
        .run_until_cancelled(ticks.tick())
        .await
        .is_some()
    {
        sockets.sessions.remove_ended();
        // Signatures are verified again only after a change of the keys, because that is expensive
        // for thousands of sockets.
        let earlier = std::mem::replace(&mut keys, sockets.backend.keys_generation());
        for (sid, socket) in sockets.connected.list() {
            if socket.can_send() == SendOutcome::Closed {
                remove_closed(&sockets, sid, &socket);
                continue;
            }
            check_token(&sockets, &socket, earlier != keys, &renewals);
            socket.send_expired();
            // If the client has left and connected again since the list was made, its new socket would
            // receive the packet.
            if sockets.connected.is_current(sid, &socket) {
                socket.send_end();
            }
        }
    }
    // The clients reconnect, to another gateway if there is one.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, sockets.io.close()).await;
}

/// Removes a socket whose connection ended while the socket was being connected. The library does
/// not call the disconnect handler for it.
fn remove_closed(sockets: &Arc<Sockets>, sid: Sid, socket: &Arc<ConnectedSocket>) {
    socket.end_with(EndReason::Silent);
    socket.send_end();
    sockets.remove(sid, socket);
}

/// Ends the socket if its token is not valid, or starts a renewal if one is due.
fn check_token(
    sockets: &Arc<Sockets>,
    socket: &Arc<ConnectedSocket>,
    are_keys_new: bool,
    renewals: &Arc<Semaphore>,
) {
    if socket.is_ending() {
        return;
    }
    let login = socket.login();
    let mut status = sockets.backend.token_status(&login.claims);
    if are_keys_new && sockets.backend.verify_token(&login.token) == Err(TokenError::Invalid) {
        status = TokenStatus::Invalid;
    }
    match status {
        TokenStatus::Valid => {}
        TokenStatus::RenewalDue => {
            if Instant::now() >= login.next_renewal_at
                && !socket.is_renewing.swap(true, Ordering::AcqRel)
            {
                tokio::spawn(renew_token(
                    sockets.clone(),
                    socket.clone(),
                    renewals.clone(),
                ));
            }
        }
        TokenStatus::Invalid => socket.end_with(EndReason::TokenInvalid),
        TokenStatus::Unknown => socket.end_with(EndReason::Silent),
    }
}

async fn renew_token(
    sockets: Arc<Sockets>,
    socket: Arc<ConnectedSocket>,
    renewals: Arc<Semaphore>,
) {
    let Ok(_permit) = renewals.acquire().await else {
        return;
    };
    let login = socket.login();
    let renewed = sockets.backend.renew(login.token.clone()).await;
    match renewed.map(|token| (sockets.backend.verify_token(&token), token)) {
        Ok((Ok(claims), token)) => {
            let message = json!({"JWT": token});
            socket.set_login(Login {
                token,
                claims,
                next_renewal_at: Instant::now(),
            });
            if !socket.is_ending() && socket.emit("authorization", &message) == SendOutcome::Full {
                // The client did not receive the new token and would use the old one until it
                // expires. It must reconnect now, while the old one can still be renewed.
                socket.end_with(EndReason::Silent);
            }
        }
        Err(error) if error.code == ErrorCode::Unauthenticated => {
            socket.end_with(EndReason::TokenInvalid);
        }
        // The old token is still valid for a while, so the next check tries again.
        Ok((Err(_), _)) | Err(_) => {
            let Login { token, claims, .. } = &*login;
            let renew_at = Instant::now() + PAUSE;
            socket.set_login(Login {
                token: token.clone(),
                claims: claims.clone(),
                next_renewal_at: renew_at,
            });
        }
    }
    socket.is_renewing.store(false, Ordering::Release);
}
