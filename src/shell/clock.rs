//! The one place that reads the clock.

use jiff::{Timestamp, Unit};

/// The time, in whole seconds: Kubernetes stores no finer ones, and a finer one would differ from itself once read back.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}
