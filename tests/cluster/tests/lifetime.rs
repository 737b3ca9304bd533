//! Nothing of a cluster outlives it, however it ends.

#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a helper of tests fails its test by a panic, and reads the clock of the machine"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The command for people, with a state folder of the test's own.
struct Person {
    state: PathBuf,
}

impl Person {
    fn new(name: &str) -> Self {
        let name = format!("longshore-lifetime-{name}-{}", std::process::id());
        let state = std::env::temp_dir().join(name);
        Self { state }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_test-cluster"))
            .arg("--state")
            .arg(&self.state)
            .args(arguments)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        output
    }

    /// Starts a cluster and returns its folder and the line for the shell.
    fn up(&self) -> (PathBuf, String) {
        let output = self.run(&["up", "--nodes=1"]);
        let line = String::from_utf8(output.stdout).unwrap();
        let processes = processes(|command| command.contains("stand\0--nodes"));
        let started = self.process();
        assert!(processes.contains(&started));
        let folder = fs::read_dir(std::env::temp_dir())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                name.starts_with(&format!("longshore-cluster-{started}-"))
            })
            .unwrap();
        (folder, line)
    }

    fn process(&self) -> String {
        fs::read_to_string(self.state.join("process")).unwrap()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _unused =
            Command::new(env!("CARGO_BIN_EXE_test-cluster")).arg("--state").arg(&self.state).arg("down").output();
        let _unused = fs::remove_dir_all(&self.state);
    }
}

/// The ids of the processes whose command line is as wanted.
fn processes(wanted: impl Fn(&str) -> bool) -> Vec<String> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let command = fs::read(path.join("cmdline")).ok()?;
            let id = path.file_name()?.to_str()?.to_owned();
            wanted(&String::from_utf8_lossy(&command)).then_some(id)
        })
        .collect()
}

fn of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap().to_owned();
    processes(move |command| command.contains(&folder))
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nothing_is_left_when_the_owner_is_killed() {
    // Ctrl-C in a terminal goes to the whole group of the owner, which is its first process.
    for (signal, whole_group) in [("KILL", ""), ("INT", "-")] {
        let person = Person::new(&format!("killed-{signal}"));
        let (folder, _) = person.up();
        // Five programs, each under its guard, which watches from a process of its own, and the janitor.
        assert!(of(&folder).len() >= 11, "{:?}", of(&folder));
        let receiver = format!("{whole_group}{}", person.process());
        let sent = Command::new("sh").args(["-c", "kill \"-$1\" \"$2\"", "kill", signal, &receiver]).status().unwrap();
        assert!(sent.success());
        eventually("the processes end", || of(&folder).is_empty());
        eventually("the folder goes", || !folder.exists());
    }
}

#[test]
fn a_program_beside_the_cluster_acts_as_its_service_account_and_ends_with_the_cluster() {
    let person = Person::new("beside");
    person.up();
    let kubectl = String::from_utf8(person.run(&["program", "kubectl"]).stdout).unwrap();
    let whoami = person.state.join("whoami");
    let script = person.state.join("beside.sh");
    let asked = "auth whoami -o jsonpath='{.status.userInfo.username}'";
    let text = format!("{} {asked} > {}; exec sleep \"$1\"", kubectl.trim(), whoami.display());
    fs::write(&script, text).unwrap();
    let run = |seconds: &str| {
        person.run(&["run", "--as=default/default", "/bin/sh", script.to_str().unwrap(), seconds]);
    };
    let running = |seconds: &str| {
        let command = format!("sleep\0{seconds}\0");
        !processes(|found| found == command).is_empty()
    };
    let (first, second) = (format!("7777.{}", std::process::id()), format!("8888.{}", std::process::id()));
    run(&first);
    eventually("the program runs", || running(&first));
    assert_eq!(fs::read_to_string(&whoami).unwrap(), "system:serviceaccount:default:default");
    run(&second);
    eventually("another takes its place", || running(&second) && !running(&first));
    person.run(&["down"]);
    assert!(!running(&second));
}

#[test]
fn a_person_starts_a_cluster_and_stops_it() {
    let person = Person::new("person");
    let (folder, line) = person.up();
    assert_eq!(line.lines().count(), 1);
    let again = person.run(&["up"]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), line);
    assert!(String::from_utf8_lossy(&again.stderr).contains("up already"));

    let kubectl = person.run(&["program", "kubectl"]);
    let kubectl = String::from_utf8(kubectl.stdout).unwrap();
    let shell = format!("eval \"$1\"; exec {} get nodes -o name", kubectl.trim());
    let nodes = Command::new("sh").args(["-c", &shell, "sh", &line]).output().unwrap();
    assert_eq!(nodes.stdout, b"node/node-0\n");

    let down = person.run(&["down"]);
    assert!(String::from_utf8_lossy(&down.stderr).contains("stopped"));
    assert!(of(&folder).is_empty());
    assert!(!folder.exists());
    let down = person.run(&["down"]);
    assert!(String::from_utf8_lossy(&down.stderr).contains("no cluster is up"));
}
