//! How many requests a second a member may make in a project (`rate_limit_per_second`). Each gateway counts for itself: with
//! several, a member may make so many through each.

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
    web::Data,
};
use doorward_domain::{ErrorCode, Gid};
use doorward_rpc::{RpcError, directory::v1::CheckMembershipRequest};
use moka::{future::Cache as FutureCache, sync::Cache};

use crate::{Gateway, http::envelope::ApiError, peers::Peers, session::caller};

/// A change of the limit counts after so long, and the little that asking for it takes.
const LIMIT_CACHE_TTL: Duration = Duration::from_millis(800);
/// Members whose requests are counted at once; more are let through.
const MAX_MEMBERS: u64 = 100_000;
const WINDOW: Duration = Duration::from_secs(1);
/// Requests of the same slice are counted together, so a window may count up to so much longer than it is.
const SLICE: Duration = Duration::from_millis(5);

type MemberKey = (Gid, Gid);

pub(crate) struct RateLimits {
    limits: FutureCache<MemberKey, Option<u32>>,
    windows: Cache<MemberKey, Arc<Mutex<SlidingWindow>>>,
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

    /// How long the member has to wait; None: the request is counted and may go on.
    async fn count(&self, peers: &Peers, member: MemberKey) -> Option<Duration> {
        let limit = self
            .limits
            .try_get_with(member, find_rate_limit(peers, member))
            .await;
        // Without the directory the call itself fails.
        let limit = limit.ok().flatten()?;
        let window = self.windows.get_with(member, Arc::default);
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        window.count(limit, Instant::now())
    }
}

async fn find_rate_limit(
    peers: &Peers,
    (user, project): MemberKey,
) -> Result<Option<u32>, RpcError> {
    let check = CheckMembershipRequest {
        project_gid: project.to_string(),
        user_gid: user.to_string(),
    };
    Ok(peers
        .directory()
        .check_membership(check)
        .await?
        .into_inner()
        .rate_limit_per_second)
}

/// Around all calls under `/api/p/{project}`. What comes without a good token is the call's own to refuse.
pub(crate) async fn enforce<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let gateway = request
        .app_data::<Data<Gateway>>()
        .cloned()
        .ok_or_else(ApiError::internal)?;
    let peers = request
        .app_data::<Data<Peers>>()
        .cloned()
        .ok_or_else(ApiError::internal)?;
    let project = request
        .match_info()
        .get("project")
        .and_then(|project| project.parse().ok());
    let user = caller::find_user(request.request(), &gateway);
    if let Some(member) = user.zip(project)
        && let Some(wait) = gateway.rate_limits.count(&peers, member).await
    {
        let problem = ApiError::from(RpcError::new(ErrorCode::Throttled).with_retry_after(wait));
        return Ok(request.into_response(problem.error_response()));
    }
    next.call(request)
        .await
        .map(ServiceResponse::map_into_boxed_body)
}

/// The requests of the last second, so exactly as it must be: never more than the limit in any second, and the limit in each
/// when there are more than enough. Buckets that fill up with time admit twice as many in the first second.
#[derive(Default)]
struct SlidingWindow {
    /// The begin of each slice with requests, and how many they were.
    slices: VecDeque<(Instant, u32)>,
    counted: u32,
}

impl SlidingWindow {
    fn count(&mut self, limit: u32, now: Instant) -> Option<Duration> {
        while let Some((begin, count)) = self.slices.front().copied()
            && now.saturating_duration_since(begin) >= WINDOW + SLICE
        {
            self.slices.pop_front();
            self.counted -= count;
        }
        if self.counted >= limit {
            let oldest = self.slices.front().map_or(now, |(begin, _)| *begin);
            // Never more than a second, which in whole seconds would be two.
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

    /// How many of `offered` requests, evenly spread over `seconds`, are let through.
    fn admitted(limit: u32, offered: u32, seconds: u32) -> u32 {
        let (mut window, begin) = (SlidingWindow::default(), Instant::now());
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
            let (admitted, right) = (admitted(limit, offered, seconds), limit * seconds);
            assert!(
                admitted <= right && admitted * 100 >= right * 98,
                "{limit}: {admitted} of {right}"
            );
        }
        assert_eq!(admitted(5, 5, 1), 5);
        assert_eq!(admitted(5, 4000, 1), 5, "never more in a second");
        assert_eq!(admitted(100, 300, 10), 300, "fewer than the limit all pass");
    }

    #[test]
    fn rate_limited_response_has_retry_after() {
        let (mut window, begin) = (SlidingWindow::default(), Instant::now());
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
