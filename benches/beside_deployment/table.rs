//! The table: what was measured of both, and how they compare.

use std::time::Duration;

/// One line: what was measured, Longshore's values and the Deployment's.
pub(crate) struct Line {
    what: &'static str,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

/// A table of lines, each with the ratio of the medians.
pub(crate) struct Table(Vec<Line>);

impl Table {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a line of one or several measurements of each.
    pub(crate) fn line(&mut self, what: &'static str, ours: &[f64], theirs: &[f64]) {
        self.0.push(Line { what, ours: ours.to_vec(), theirs: theirs.to_vec() });
    }

    /// Prints it: the median, and in brackets the least and the greatest where there are several.
    pub(crate) fn print(&self, title: &str) {
        println!("\n{title}");
        println!("{:<42}{:>24}{:>24}{:>8}", "", "Longshore", "Deployment", "ratio");
        for Line { what, ours, theirs } in &self.0 {
            let ratio = match (median(ours), median(theirs)) {
                (Some(ours), Some(theirs)) if theirs > 0.0 => format!("{:.2}", ours / theirs),
                _ => "–".to_owned(),
            };
            println!("{what:<42}{:>24}{:>24}{ratio:>8}", shown(ours), shown(theirs));
        }
    }
}

/// Seconds, as a number.
pub(crate) fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn shown(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (median(values), sorted.first(), sorted.last()) {
        (Some(median), Some(first), Some(last)) if sorted.len() > 1 => format!("{median:.3} ({first:.3}–{last:.3})"),
        (Some(median), _, _) => format!("{median:.3}"),
        (None, _, _) => "–".to_owned(),
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().checked_div(2)?).copied()
}
