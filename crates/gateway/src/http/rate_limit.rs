//! The rate limit of a member in a project (`rate_limit_per_second`): maximum number of requests in
//! any second.
//!
//! Each gateway counts separately: with k gateways, a member can make up to k times as many
//! requests.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix_web::{
    Error, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use doorward_domain::{ErrorCode, Gid};
use doorward_rpc::{RpcError, directory::v1::CheckMembershipRequest};
use moka::{future::Cache as FutureCache, sync::Cache};

use crate::{
    http::{app_data::app_data, envelope::ApiError},
    peers::Peers,
    session::{caller, sessions::Sessions},
};

/// Time for which a limit is cached. With the time of the RPC, a change takes effect within a
/// second.
const LIMIT_CACHE_TTL: Duration = Duration::from_millis(800);
/// Maximum number of members whose requests are counted at the same time. Beyond it, requests of
/// some members are accepted without being counted.
const MAX_MEMBERS: u64 = 100_000;
/// Period in which at most the limit is accepted.
const WINDOW: Duration = Duration::from_secs(1);
/// Resolution of the window: requests in the same slice are counted together, so a request can
/// count up to this much longer than [`WINDOW`].
const SLICE: Duration = Duration::from_millis(5);

/// A user in a project.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Member {
    user: Gid,
    project: Gid,
}

/// Cached limits, and the recent requests of each member.
pub(crate) struct RateLimits {
    limits: FutureCache<Member, Option<u32>>,
    windows: Cache<Member, Arc<Mutex<SlidingWindow>>>,
}

impl RateLimits {
    pub(crate) fn new() -> Self {
        Self {
            limits: FutureCache::builder()
                .max_capacity(MAX_MEMBERS)
                .time_to_live(LIMIT_CACHE_TTL)
                .build(),
            windows: Cache::builder()
                .max_capacity(MAX_MEMBERS)
                .time_to_idle(2 * WINDOW)
                .build(),
        }
    }

    /// Counts a request. Returns the time that the member must wait if the limit is reached; such a
    /// request is not counted.
    async fn count(&self, peers: &Peers, member: Member) -> Option<Duration> {
        let limit = self
            .limits
            .try_get_with(member, find_rate_limit(peers, member))
            .await;
        // Without the directory the handler fails anyway, so its error is the response.
        let limit = limit.ok().flatten()?;
        let window = self.windows.get_with(member, Arc::default);
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        window.count(limit, Instant::now())
    }
}

/// Asks the directory for the limit of a member. `None`: no limit, or not a member.
async fn find_rate_limit(peers: &Peers, member: Member) -> Result<Option<u32>, RpcError> {
    let check = CheckMembershipRequest {
        project_gid: member.project.to_string(),
        user_gid: member.user.to_string(),
    };
    Ok(peers
        .directory()
        .check_membership(check)
        .await?
        .into_inner()
        .rate_limit_per_second)
}

/// Middleware for all calls below `/api/p/{project}`. Requests without a valid token are not
/// counted; their handlers reject them.
pub(crate) async fn enforce<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let sessions = app_data::<Sessions>(request.request())?;
    let rate_limits = app_data::<RateLimits>(request.request())?;
    let peers = app_data::<Peers>(request.request())?;
    let project = request
        .match_info()
        .get("project")
        .and_then(|project| project.parse().ok());
    let user = caller::find_user(request.request(), sessions);
    if let Some(member) = user
        .zip(project)
        .map(|(user, project)| Member { user, project })
        && let Some(wait) = rate_limits.count(peers, member).await
    {
        let error = ApiError::from(RpcError::new(ErrorCode::Throttled).with_retry_after(wait));
        return Ok(request.into_response(error.error_response()));
    }
    next.call(request)
        .await
        .map(ServiceResponse::map_into_boxed_body)
}

/// Requests of the last second. It never accepts more than the limit in any second, and exactly the
/// limit in each if enough requests are made. A token bucket would accept up to twice the limit in
/// its first second.
///
/// Example with a limit of 2: requests at 0 ms and 400 ms are accepted. One at 700 ms must wait
/// until 1005 ms, when the slice of the first request has left the window. At 1005 ms it is
/// accepted, and the next one at 1405 ms.
#[derive(Default)]
struct SlidingWindow {
    /// Start of each slice with requests, and their number.
    slices: VecDeque<(Instant, u32)>,
    /// Sum of the numbers in `slices`.
    counted: u32,
}

impl SlidingWindow {
    /// Counts a request, or returns the time until the next one is accepted.
    fn count(&mut self, limit: u32, now: Instant) -> Option<Duration> {
        while let Some((begin, count)) = self.slices.front().copied()
            && now.saturating_duration_since(begin) >= WINDOW + SLICE
        {
            self.slices.pop_front();
            self.counted -= count;
        }
        if self.counted >= limit {
            let oldest = self.slices.front().map_or(now, |(begin, _)| *begin);
            // `Retry-After` has whole seconds, rounded up: 1005 ms would become 2 s.
            let wait = (WINDOW + SLICE).saturating_sub(now.saturating_duration_since(oldest));
            return Some(wait.min(WINDOW));
        }
        match self.slices.back_mut() {
            Some((begin, count)) if now.saturating_duration_since(*begin) < SLICE => *count += 1,
            _ => self.slices.push_back((now, 1)),
        }
        self.counted += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many of `offered` requests, spread evenly over `seconds`, are accepted.
    fn admitted(limit: u32, offered: u32, seconds: u32) -> u32 {
        let mut window = SlidingWindow::default();
        let begin = Instant::now();
        let mut admitted = 0;
        for number in 0..offered {
            let now = begin + Duration::from_secs(seconds.into()) * number / offered;
            admitted += u32::from(window.count(limit, now).is_none());
        }
        admitted
    }

    #[test]
    fn rate_limit_admits_exactly_the_limit() {
        for (limit, offered, seconds) in [
            (1, 1000, 10),
            (5, 1000, 10),
            (50, 10_000, 10),
            (1000, 50_000, 10),
        ] {
            let admitted = admitted(limit, offered, seconds);
            let expected = limit * seconds;
            assert!(
                admitted <= expected && admitted * 100 >= expected * 98,
                "{limit}: {admitted} of {expected}"
            );
        }
        assert_eq!(admitted(5, 5, 1), 5);
        assert_eq!(admitted(5, 4000, 1), 5, "never more in a second");
        assert_eq!(admitted(100, 300, 10), 300, "fewer than the limit all pass");
    }

    #[test]
    fn rate_limited_response_has_retry_after() {
        let mut window = SlidingWindow::default();
        let begin = Instant::now();
        assert_eq!(window.count(1, begin), None);
        assert_eq!(window.count(1, begin), Some(WINDOW));
        let wait = window.count(1, begin + Duration::from_millis(300)).unwrap();
        assert!(
            wait >= Duration::from_millis(700) && wait <= Duration::from_millis(710),
            "{wait:?}"
        );
        assert_eq!(
            window.count(1, begin + Duration::from_millis(300) + wait),
            None
        );
        assert!(window.slices.len() <= 201);
    }
}
