//! The demo works, also where it is shown a second time.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a helper of tests fails its test by a panic")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// The command for people, with a state folder of the test's own.
struct Person(PathBuf);

impl Person {
    fn run(&self, command: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_test-cluster")).arg("--state").arg(&self.0).arg(command).output().unwrap()
    }

    /// What the demo prints.
    fn sees_the_demo(&self) -> String {
        let Output { status, stdout, stderr } = self.run("demo");
        let printed = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{printed}");
        printed
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        self.run("down");
        let _unused = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_demo_rolls_out_an_image_within_its_bounds_as_often_as_one_likes() {
    let person = Person(std::env::temp_dir().join(format!("longshore-demo-{}", std::process::id())));
    let first = person.sees_the_demo();
    assert!(first.contains("never fewer than 4 healthy (floor 4)"), "{first}");
    assert!(first.contains("deployment completed."), "{first}");
    let second = person.sees_the_demo();
    assert!(second.contains("up already"), "{second}");
    assert!(second.contains("of the new"), "{second}");
}
