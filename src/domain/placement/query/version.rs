//! Versions of agents, in which 1.9 comes before 1.14.

use std::fmt;

/// A version: numbers, compared one by one. `1.14` and `1.14.0` are the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Vec<u64>);

impl Version {
    /// Reads a version in a query: numbers separated by dots, with or without a `v` before them.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |part: &str| part.chars().all(|c| c.is_ascii_digit()).then(|| part.parse().ok()).flatten();
        let mut numbers =
            text.strip_prefix('v').unwrap_or(text).split('.').map(number).collect::<Option<Vec<u64>>>()?;
        // Zeros at the end say nothing.
        while numbers.len() > 1 && numbers.last() == Some(&0) {
            numbers.pop();
        }
        Some(Self(numbers))
    }

    /// Reads the version that an agent reports. What a vendor appends to it (`v1.34.2-eks-3a1b2c`, `v1.34.2+k3s1`) says who
    /// built it, not that it is older or newer.
    pub fn of_agent(text: &str) -> Option<Self> {
        text.split(['-', '+']).next().and_then(Self::parse)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_number_by_number() {
        let version = |text: &str| Version::parse(text).unwrap();
        assert!(version("1.9.0") < version("1.14.5") && version("1.14.5") < version("2"));
        assert_eq!(version("v1.14"), version("1.14.0"));
        assert!(version("0.0") < version("0.0.1"));
    }

    #[test]
    fn what_a_vendor_appends_to_a_version_is_left_out() {
        for text in ["v1.34.2", "v1.34.2-eks-3a1b2c", "v1.34.2+k3s1", "v1.34.2-gke.100"] {
            assert_eq!(Version::of_agent(text), Version::parse("1.34.2"), "{text}");
        }
        assert_eq!(Version::of_agent("unknown"), None);
    }

    #[test]
    fn anything_but_numbers_and_dots_is_no_version() {
        for text in ["", "v", "1.", ".1", "1..2", "1.x", "1.2-rc1", "+1", "99999999999999999999"] {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
    }
}
