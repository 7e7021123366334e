//! The write budget of a user: a limit on calls that change data (`write_rate`, `write_burst`).
//!
//! Each gateway counts separately: with k gateways, a user can make up to k times as many calls. A
//! call is counted before its handler runs, independent of its result.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix_web::{
    Error, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
};
use doorward_domain::{ErrorCode, Gid};
use doorward_rpc::RpcError;
use moka::sync::Cache;

use crate::{
    http::{app_data::app_data, envelope::ApiError},
    session::{caller, sessions::Sessions},
};

/// Maximum number of users whose calls are counted at the same time. Beyond it, some users start
/// again with a full budget.
const MAX_USERS: u64 = 100_000;

/// Limit on the calls of a user that change data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteBudget {
    /// Average number of calls per second. At least 1.
    pub per_second: u32,
    /// Maximum number of calls at once, after a time without calls. At least 1.
    pub burst: u32,
}

/// Token bucket for each user. A bucket is stored as the time at which it will be full again
/// (generic cell rate algorithm): each call moves that time by the interval between two calls, and
/// is rejected if the time would be more than a whole burst ahead.
///
/// Example with 1 call per second and a burst of 3, starting at 0 s: three calls at once move the
/// time to 3 s. A fourth would move it to 4 s, more than 3 s ahead, and must wait 1 s. At 1 s it is
/// accepted.
pub(crate) struct WriteBudgets {
    interval: Duration,
    burst: Duration,
    buckets: Cache<Gid, Arc<Mutex<Instant>>>,
}

impl WriteBudgets {
    pub(crate) fn new(budget: WriteBudget) -> Self {
        let interval = Duration::from_secs(1) / budget.per_second.max(1);
        let burst = interval * budget.burst.max(1);
        // After this time the bucket is full again, and equal to a new one.
        let buckets = Cache::builder()
            .max_capacity(MAX_USERS)
            .time_to_idle(burst + Duration::from_secs(1))
            .build();
        Self {
            interval,
            burst,
            buckets,
        }
    }

    /// Counts a call.
    ///
    /// # Errors
    /// The time until the next call is accepted. Rejected calls are not counted.
    fn count(&self, user: Gid, now: Instant) -> Result<(), Duration> {
        let bucket = self.buckets.get_with(user, || Arc::new(Mutex::new(now)));
        let mut full_at = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let next = (*full_at).max(now) + self.interval;
        let wait = next.saturating_duration_since(now + self.burst);
        if wait > Duration::ZERO {
            return Err(wait);
        }
        *full_at = next;
        Ok(())
    }
}

/// Middleware for each call that changes data. Requests without a valid token are not counted;
/// their handlers reject them.
pub(crate) async fn enforce_write_budget<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let sessions = app_data::<Sessions>(request.request())?;
    let write_budgets = app_data::<WriteBudgets>(request.request())?;
    // Requests with other methods are answered with 405 and change nothing.
    let user = if request.method() == Method::POST {
        caller::find_user(request.request(), sessions)
    } else {
        None
    };
    if let Some(user) = user
        && let Err(wait) = write_budgets.count(user, Instant::now())
    {
        let error = ApiError::from(RpcError::new(ErrorCode::Throttled).with_retry_after(wait));
        return Ok(request.into_response(error.error_response()));
    }
    next.call(request)
        .await
        .map(ServiceResponse::map_into_boxed_body)
}

#[cfg(test)]
mod tests {
    use doorward_domain::{IdGenerator, RandomIdGenerator};

    use super::*;

    /// Returns how many of the calls at these times, in milliseconds, are accepted.
    fn admitted(
        writes: &WriteBudgets,
        user: Gid,
        begin: Instant,
        times: impl IntoIterator<Item = u64>,
    ) -> usize {
        let call = |time: &u64| {
            writes
                .count(user, begin + Duration::from_millis(*time))
                .is_ok()
        };
        times.into_iter().filter(call).count()
    }

    #[test]
    fn burst_passes_then_rate_applies() {
        for (per_second, burst) in [(20, 100), (1, 1), (5, 1), (1000, 3), (3, 1000)] {
            let writes = WriteBudgets::new(WriteBudget { per_second, burst });
            let user = RandomIdGenerator.new_gid();
            let begin = Instant::now();
            assert_eq!(
                admitted(&writes, user, begin, vec![0; 5000]),
                burst as usize,
                "{per_second}, {burst}"
            );
            // Ten seconds of far more calls than the rate.
            let passed = admitted(&writes, user, begin, (1..=20_000).map(|half| half / 2));
            let rate = per_second as usize;
            let expected = rate * 10;
            assert!(
                passed <= expected && passed + rate.max(10) >= expected,
                "{per_second}, {burst}: {passed}"
            );
            // An hour later the bucket is full, and holds no more than a burst.
            assert_eq!(
                admitted(&writes, user, begin, vec![3_610_000; 5000]),
                burst as usize,
                "{per_second}, {burst}"
            );
        }
    }

    #[test]
    fn budgets_are_per_user() {
        let writes = WriteBudgets::new(WriteBudget {
            per_second: 1,
            burst: 2,
        });
        let begin = Instant::now();
        for user in [RandomIdGenerator.new_gid(), RandomIdGenerator.new_gid()] {
            assert_eq!(admitted(&writes, user, begin, [0, 0, 0, 0]), 2);
        }
    }

    #[test]
    fn call_after_retry_after_passes() {
        let writes = WriteBudgets::new(WriteBudget {
            per_second: 4,
            burst: 2,
        });
        let user = RandomIdGenerator.new_gid();
        let begin = Instant::now();
        assert_eq!(admitted(&writes, user, begin, [0, 0]), 2);
        let wait = writes.count(user, begin).unwrap_err();
        assert_eq!(wait, Duration::from_millis(250));
        assert_eq!(writes.count(user, begin + wait / 2).unwrap_err(), wait / 2);
        assert_eq!(writes.count(user, begin + wait), Ok(()));
    }
}
