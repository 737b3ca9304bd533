//! The one place that reads the clock.

use std::fmt;
use std::sync::Arc;

use jiff::{Timestamp, Unit};

/// Tells the time. What is decided by it is written to the cluster, so it is an input like any other.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        Self::new(Timestamp::now)
    }

    /// Another one.
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The time, in whole seconds: Kubernetes stores no finer ones, and a finer one would differ from itself once read back.
    pub fn now(&self) -> Timestamp {
        self.rounded(Unit::Second)
    }

    /// The time, in whole microseconds: as fine as Kubernetes stores it in a Lease, and in little else.
    pub fn now_in_microseconds(&self) -> Timestamp {
        self.rounded(Unit::Microsecond)
    }

    fn rounded(&self, unit: Unit) -> Timestamp {
        let now = (self.0)();
        now.round(unit).unwrap_or(now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
