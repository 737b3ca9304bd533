//! The floor and the ceiling of a service, in ECS's rounding.

/// How many tasks a service may have, and how many of them must be healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// `desiredCount`.
    pub(super) desired: usize,
    /// Fewest healthy tasks that our own stops may leave.
    pub(super) floor: usize,
    /// Most tasks that may be RUNNING or PENDING.
    pub(super) ceiling: usize,
}

impl Bounds {
    /// "minimumHealthyPercent … as a percentage of your service's desiredCount (rounded up to the nearest integer)";
    /// "maximumPercent … (rounded down)". Ten tasks at 75/125 percent: 8 healthy at least, 12 at most.
    pub(super) fn new(desired: u32, minimum_healthy_percent: u32, maximum_percent: u32) -> Self {
        let of_desired = |percent: u32| u64::from(desired).saturating_mul(u64::from(percent));
        let count = |tasks: u64| usize::try_from(tasks).unwrap_or(usize::MAX);
        Self {
            desired: count(u64::from(desired)),
            floor: count(of_desired(minimum_healthy_percent).div_ceil(100)),
            ceiling: count(of_desired(maximum_percent).checked_div(100).unwrap_or(0)),
        }
    }

    /// Whether a task can ever be replaced: by starting one first, or by stopping one first.
    pub(super) fn can_replace(self) -> bool {
        self.desired == 0 || self.ceiling > self.desired || self.floor < self.desired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_rounded_up_and_the_ceiling_down() {
        // (desired, minimum, maximum) -> (floor, ceiling, a task can be replaced)
        for ((desired, minimum, maximum), (floor, ceiling, can_replace)) in [
            ((1, 100, 200), (1, 2, true)),
            ((1, 100, 150), (1, 1, false)),
            ((1, 50, 100), (1, 1, false)),
            ((1, 0, 100), (0, 1, true)),
            ((2, 75, 100), (2, 2, false)),
            ((3, 100, 125), (3, 3, false)),
            ((4, 50, 100), (2, 4, true)),
            ((4, 100, 200), (4, 8, true)),
            ((10, 100, 150), (10, 15, true)),
            ((10, 75, 125), (8, 12, true)),
            ((10, 50, 200), (5, 20, true)),
            ((0, 100, 100), (0, 0, true)),
        ] {
            let bounds = Bounds::new(desired, minimum, maximum);
            assert_eq!((bounds.floor, bounds.ceiling), (floor, ceiling), "{desired} at {minimum}/{maximum}");
            assert_eq!(bounds.can_replace(), can_replace, "{desired} at {minimum}/{maximum}");
        }
    }
}
