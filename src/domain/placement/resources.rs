//! What nodes have and tasks reserve.

/// An amount of CPU and of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu: u64,
    /// Bytes.
    pub memory: u64,
}

impl Resources {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { cpu: self.cpu.saturating_add(other.cpu), memory: self.memory.saturating_add(other.memory) }
    }

    /// What is left of it: nothing at least.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(other.cpu), memory: self.memory.saturating_sub(other.memory) }
    }

    /// The greater of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { cpu: self.cpu.max(other.cpu), memory: self.memory.max(other.memory) }
    }
}

/// Kubernetes' notation of CPU in thousandths of a core: `2`, `0.5`, `250m`. None for what is no quantity.
pub fn millicores(quantity: &str) -> Option<u64> {
    u64::try_from(thousandths(quantity)?).ok()
}

/// Kubernetes' notation of memory in bytes, rounded up: `128974848`, `129M`, `123Mi`, `1e3`. None for what is no quantity.
pub fn bytes(quantity: &str) -> Option<u64> {
    u64::try_from(thousandths(quantity)?.div_ceil(1000)).ok()
}

/// "<quantity> ::= <signedNumber><suffix>". A negative one is none that a pod or a node has.
fn thousandths(quantity: &str) -> Option<u128> {
    let end = quantity.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at_checked(end)?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits: u128 = format!("{whole}{decimals}").parse().ok()?;
    // Powers of 1024, and of 10 for thousandths.
    let (binary, decimal) = match suffix {
        "n" => (0, -6),
        "u" => (0, -3),
        "m" => (0, 0),
        "" => (0, 3),
        "k" => (0, 6),
        "M" => (0, 9),
        "G" => (0, 12),
        "T" => (0, 15),
        "P" => (0, 18),
        "E" => (0, 21),
        "Ki" => (1, 3),
        "Mi" => (2, 3),
        "Gi" => (3, 3),
        "Ti" => (4, 3),
        "Pi" => (5, 3),
        "Ei" => (6, 3),
        _ => (0, suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?.checked_add(3)?),
    };
    let power = decimal.checked_sub(decimals.len().try_into().ok()?)?;
    let digits = digits.checked_mul(1024_u128.checked_pow(binary)?)?;
    let scale = 10_u128.checked_pow(power.unsigned_abs())?;
    if power < 0 { Some(digits.div_ceil(scale)) } else { digits.checked_mul(scale) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_read_in_thousandths_of_a_core() {
        for (quantity, expected) in [
            ("2", Some(2000)),
            ("0.5", Some(500)),
            (".5", Some(500)),
            ("250m", Some(250)),
            ("3920m", Some(3920)),
            ("1500000u", Some(1500)),
            ("1n", Some(1)),
            ("1k", Some(1_000_000)),
            ("", None),
            ("-1", None),
            ("1.5.5", None),
            ("two", None),
            ("1 core", None),
        ] {
            assert_eq!(millicores(quantity), expected, "{quantity:?}");
        }
    }

    #[test]
    fn memory_is_read_in_bytes() {
        for (quantity, expected) in [
            ("128974848", Some(128_974_848)),
            ("129M", Some(129_000_000)),
            ("123Mi", Some(123 << 20)),
            ("16393244Ki", Some(16_393_244 << 10)),
            ("1.5Gi", Some(3 << 29)),
            ("2Ti", Some(2 << 40)),
            ("1e3", Some(1000)),
            ("12E2", Some(1200)),
            ("1E", Some(1_000_000_000_000_000_000)),
            ("100m", Some(1)),
            ("1e", None),
            ("1Xi", None),
            ("99999999999999999999999999Ei", None),
        ] {
            assert_eq!(bytes(quantity), expected, "{quantity:?}");
        }
    }
}
