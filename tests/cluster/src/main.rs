//! The test cluster for people: start it, stop it, build or find its programs.

fn main() {}
