//! The write budget of a user: a limit on calls that change data (`write_rate`, `write_burst`).
//!
//! Each gateway counts for itself: with several, a user may make that many calls through each. Calls are counted before
//! their work, whatever their result.

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
    web::Data,
};
use doorward_domain::{ErrorCode, Gid};
use doorward_rpc::RpcError;
use moka::sync::Cache;

use crate::{Gateway, http::envelope::ApiError, session::caller};

/// Users whose calls are counted at the same time. Of more, some begin again with a full budget.
const MAX_USERS: u64 = 100_000;

/// Calls that change data, per user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteBudget {
    /// On average. At least 1.
    pub per_second: u32,
    /// At once, after a time without any. At least 1.
    pub burst: u32,
}

/// A token bucket for each user. A bucket is stored as the time at which it will be full again (the generic cell rate
/// algorithm): each call moves that time by the interval between two calls, and is refused if it would lie further ahead
/// than a whole burst.
pub(crate) struct WriteBudgets {
    interval: Duration,
    burst: Duration,
    buckets: Cache<Gid, Arc<Mutex<Instant>>>,
}

impl WriteBudgets {
    pub(crate) fn new(budget: WriteBudget) -> Self {
        let interval = Duration::from_secs(1) / budget.per_second.max(1);
        let burst = interval * budget.burst.max(1);
        // A bucket that is full again need not be remembered.
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
    /// The time until the next call can be made. Refused calls are not counted.
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

/// Around each call that changes data. A call without a valid token is refused by its handler.
pub(crate) async fn enforce_write_budget<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let gateway = request
        .app_data::<Data<Gateway>>()
        .cloned()
        .ok_or_else(ApiError::internal)?;
    // Other methods are answered 405.
    let user = if request.method() == Method::POST {
        caller::find_user(request.request(), &gateway)
    } else {
        None
    };
    if let Some(user) = user
        && let Err(wait) = gateway.write_budgets.count(user, Instant::now())
    {
        let problem = ApiError::from(RpcError::new(ErrorCode::Throttled).with_retry_after(wait));
        return Ok(request.into_response(problem.error_response()));
    }
    next.call(request)
        .await
        .map(ServiceResponse::map_into_boxed_body)
}

#[cfg(test)]
mod tests {
    use doorward_domain::{IdGenerator, RandomIdGenerator};

    use super::*;

    /// How many of the calls at these times, in milliseconds, are let through.
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
            let (writes, user, begin) = (
                WriteBudgets::new(WriteBudget { per_second, burst }),
                RandomIdGenerator.new_gid(),
                Instant::now(),
            );
            assert_eq!(
                admitted(&writes, user, begin, vec![0; 5000]),
                burst as usize,
                "{per_second}, {burst}"
            );
            // Ten seconds of far more calls than the rate.
            let passed = admitted(&writes, user, begin, (1..=20_000).map(|half| half / 2));
            let (rate, expected) = (per_second as usize, per_second as usize * 10);
            assert!(
                passed <= expected && passed + rate.max(10) >= expected,
                "{per_second}, {burst}: {passed}"
            );
            // An hour later the bucket is full, and no fuller.
            assert_eq!(
                admitted(&writes, user, begin, vec![3_610_000; 5000]),
                burst as usize,
                "{per_second}, {burst}"
            );
        }
    }

    #[test]
    fn budgets_are_per_user() {
        let (writes, begin) = (
            WriteBudgets::new(WriteBudget {
                per_second: 1,
                burst: 2,
            }),
            Instant::now(),
        );
        for user in [RandomIdGenerator.new_gid(), RandomIdGenerator.new_gid()] {
            assert_eq!(admitted(&writes, user, begin, [0, 0, 0, 0]), 2);
        }
    }

    #[test]
    fn call_after_retry_after_passes() {
        let (writes, user, begin) = (
            WriteBudgets::new(WriteBudget {
                per_second: 4,
                burst: 2,
            }),
            RandomIdGenerator.new_gid(),
            Instant::now(),
        );
        assert_eq!(admitted(&writes, user, begin, [0, 0]), 2);
        let wait = writes.count(user, begin).unwrap_err();
        assert_eq!(wait, Duration::from_millis(250));
        assert_eq!(writes.count(user, begin + wait / 2).unwrap_err(), wait / 2);
        assert_eq!(writes.count(user, begin + wait), Ok(()));
    }
}
