//! Nothing of a node's namespaces outlives their owner, however it ends.

#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a helper of tests fails its test by a panic, and reads the clock of the machine"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Write, stderr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use longshore_test_cluster::Namespaces;

/// Does what a node does: has a process in a cgroup below the node's, and files.
const NODE: &str = r#"
for cgroup in /sys/fs/cgroup/*/"$LONGSHORE_NODE" /sys/fs/cgroup/"$LONGSHORE_NODE"; do
  [ ! -d "$cgroup" ] || mkdir "$cgroup/pod"
done
pod=/sys/fs/cgroup/memory/$LONGSHORE_NODE/pod
[ -d "$pod" ] || pod=/sys/fs/cgroup/$LONGSHORE_NODE/pod
sleep "$1" &
echo $! >"$pod/cgroup.procs"
mkdir /var/lib/kubelet-of-test "$TMPDIR/file"
wait
"#;

/// A process with a node in namespaces.
struct Owner {
    process: Child,
    /// Sleeps as long as nobody else, and so is known.
    sleep: String,
    /// The name of the node's cgroup and folder.
    name: String,
    /// What the machine had before.
    machine: Machine,
}

/// What a node has of its own, on the machine: interfaces, and what is mounted where the node mounts.
#[derive(Debug, PartialEq, Eq)]
struct Machine {
    interfaces: BTreeSet<String>,
    mounts: Vec<String>,
}

impl Machine {
    fn now() -> Self {
        let interfaces = fs::read_dir("/sys/class/net").unwrap();
        let names = interfaces.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let points = mounts.lines().map(|line| line.split(' ').nth(4).unwrap());
        let is_of_node = |point: &&str| {
            ["/run", "/var/log", "/var/lib"].contains(point)
                || ["longshore-node-", "/proc/sys/"].iter().any(|part| point.contains(part))
        };
        Self {
            interfaces: names.filter(|name| name.starts_with("node")).collect(),
            mounts: points.filter(is_of_node).map(str::to_owned).collect(),
        }
    }
}

impl Owner {
    fn start(number: u32) -> Self {
        let seconds = format!("{number}.{}", std::process::id());
        let machine = Machine::now();
        // What runs in the background of a shell ignores Ctrl-C, and so does what it starts.
        let process = Command::new("env")
            .args([
                "--default-signal=INT",
                env!("CARGO_BIN_EXE_test-cluster"),
                "inside",
                "sh",
                "-c",
                NODE,
                "node",
                &seconds,
            ])
            .stdin(Stdio::null())
            // As a shell starts it: Ctrl-C goes to all of the group.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut owner = Self { process, sleep: format!("sleep\0{seconds}\0"), name: String::new(), machine };
        // The programs may have to be built first.
        eventually("the node runs", Duration::from_mins(15), || !processes(&owner.sleep).is_empty());
        owner.name = format!("longshore-node-{}", owner.guard());
        assert!(owner.left().len() > 1, "{:?}", owner.left());
        assert_eq!(Machine::now(), owner.machine, "the machine has nothing of the node's");
        owner
    }

    /// The process that cleans up.
    fn guard(&self) -> String {
        let parent = format!("PPid:\t{}\n", self.process.id());
        let is_child =
            |id: &String| fs::read_to_string(format!("/proc/{id}/status")).is_ok_and(|status| status.contains(&parent));
        processes("").into_iter().find(is_child).unwrap()
    }

    /// The cgroup of the node's process.
    fn pod(&self) -> PathBuf {
        let places = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].map(|place| Path::new(place).join(&self.name));
        places.into_iter().map(|place| place.join("pod")).find(|pod| pod.exists()).unwrap()
    }

    /// The cgroups and the folder that are there.
    fn left(&self) -> Vec<PathBuf> {
        let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().map(|entry| entry.unwrap().path());
        let places = hierarchies.chain(["/sys/fs/cgroup".into(), std::env::temp_dir()]);
        places.map(|place| place.join(&self.name)).filter(|path| path.exists()).collect()
    }

    fn leaves_nothing(mut self) {
        let ended = Instant::now();
        while self.process.try_wait().unwrap().is_none() {
            assert!(ended.elapsed() < LIMIT, "the owner ends");
            std::thread::sleep(Duration::from_millis(20));
        }
        eventually("the process ends", LIMIT, || processes(&self.sleep).is_empty());
        eventually("cgroups and folder go", LIMIT, || self.left().is_empty());
        assert!(!Path::new("/var/lib/kubelet-of-test").exists());
        assert_eq!(Machine::now(), self.machine);
    }
}

const LIMIT: Duration = Duration::from_secs(20);

/// The ids of the processes whose command line ends so.
fn processes(end: &str) -> Vec<String> {
    let names = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let ids = names.filter(|name| name.parse::<u32>().is_ok());
    ids.filter(|id| fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.ends_with(end.as_bytes()))).collect()
}

fn send(signal: &str, process: &str) {
    let sent = Command::new("sh").args(["-c", "kill \"-$1\" \"$2\"", "kill", signal, process]).status().unwrap();
    assert!(sent.success());
}

fn eventually(what: &str, limit: Duration, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Where there are namespaces to be had, one node at a time: the guard of another one would clean up as well. Where not, says so.
fn alone() -> Option<MutexGuard<'static, ()>> {
    static ONE: Mutex<()> = Mutex::new(());
    if let Some(reason) = Namespaces::unavailable().unwrap() {
        // Not `println!`, which nobody sees of a test that passes.
        stderr().write_all(format!("left out what needs namespaces: {reason}\n").as_bytes()).unwrap();
        return None;
    }
    Some(ONE.lock().unwrap_or_else(PoisonError::into_inner))
}

#[test]
fn nothing_is_left_of_a_node_however_its_owner_ends() {
    let Some(_alone) = alone() else { return };
    // The last one is Ctrl-C in a terminal, which goes to the owner's whole group.
    for (number, signal, whole_group) in [(71_001, "KILL", ""), (71_002, "TERM", ""), (71_003, "INT", "-")] {
        let owner = Owner::start(number);
        send(signal, &format!("{whole_group}{}", owner.process.id()));
        owner.leaves_nothing();
    }
    let mut owner = Owner::start(71_004);
    for sleep in processes(&owner.sleep) {
        send("KILL", &sleep);
    }
    assert!(owner.process.wait().unwrap().success());
    assert!(owner.left().is_empty(), "{:?}", owner.left());
}

#[test]
fn what_a_guard_leaves_that_is_killed_itself_goes_with_the_next_node() {
    let Some(_alone) = alone() else { return };
    let mut owner = Owner::start(72_001);
    send("KILL", &owner.guard());
    owner.process.wait().unwrap();
    eventually("the process ends all the same", LIMIT, || processes(&owner.sleep).is_empty());

    let next = Owner::start(72_002);
    assert!(owner.left().is_empty(), "{:?}", owner.left());
    send("KILL", &next.process.id().to_string());
    next.leaves_nothing();
}

#[test]
fn a_node_of_which_something_is_left_is_no_success() {
    let Some(_alone) = alone() else { return };
    let mut owner = Owner::start(73_001);
    // It is not in the node's namespaces, and does not end with them.
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(owner.pod().join("cgroup.procs"), stranger.id().to_string()).unwrap();
    for sleep in processes(&owner.sleep) {
        send("KILL", &sleep);
    }
    assert!(!owner.process.wait().unwrap().success());
    stranger.kill().unwrap();
    stranger.wait().unwrap();

    let next = Owner::start(73_002);
    assert!(owner.left().is_empty(), "{:?}", owner.left());
    send("KILL", &next.process.id().to_string());
    next.leaves_nothing();
}
