//! Two operators of which one leads.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use longshore_test_cluster::{AuditRecord, Behaviour, Change, PodRecorder, Pods};

use crate::judge::{assert_kept, is_active, runs};
use crate::namespace::Namespace;

/// An operator with a ServiceAccount of its own, so that the audit log tells who has written.
struct Operator {
    name: &'static str,
    user: String,
    process: Child,
}

impl Operator {
    async fn start(namespace: &Namespace, name: &'static str, arguments: &[&str]) -> Self {
        let account = format!("{}:{name}", namespace.name);
        namespace.must(&["create", "serviceaccount", name]);
        for role in ["longshore", "longshore-capacity"] {
            let (binding, role) = (format!("{}-{name}-{role}", namespace.name), format!("--clusterrole={role}"));
            namespace.must(&["create", "clusterrolebinding", &binding, &role, "--serviceaccount", &account]);
        }
        let role = "--role=longshore-leader-election";
        namespace.must(&["create", "rolebinding", name, role, "--serviceaccount", &account]);
        let access = namespace.cluster.service_account(&namespace.name, name).await.unwrap();
        let election = ["--leader-elect", "--leader-elect-namespace", &namespace.name, "--pod-name", name];
        let process = namespace.run_operator(&access.kubeconfig, &[&election, arguments].concat());
        Self { name, user: access.user, process }
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    async fn until_ended(&mut self, limit: Duration) -> ExitStatus {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(asked.elapsed() < limit, "{} goes on", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it holds the lease; returns how long that took.
    async fn until_leads(&self, namespace: &Namespace) -> Duration {
        let asked = Instant::now();
        loop {
            let lease = namespace.api::<Lease>().get_opt("longshore").await.unwrap();
            let holder = lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default();
            if holder.starts_with(self.name) {
                return asked.elapsed();
            }
            let log = namespace.log();
            assert!(asked.elapsed() < Duration::from_mins(1), "{} does not lead, but {holder:?}\n{log}", self.name);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What it has written, but for the lease.
    async fn writes(&self, namespace: &Namespace) -> Vec<AuditRecord> {
        let mut writes = namespace.writes_of(&self.user).await;
        writes.retain(|write| write.resource != "leases" && write.succeeded());
        writes
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A namespace with the rights of `config/rbac` on a lease in it.
async fn namespace(name: &str) -> Namespace {
    let namespace = Namespace::without_operator(name).await;
    let role = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rbac/leader_election_role.yaml");
    let here = fs::read_to_string(role).unwrap().replace("namespace: longshore-system", &format!("namespace: {name}"));
    let file = namespace.cluster.folder().join(format!("{name}-role.yaml"));
    fs::write(&file, here).unwrap();
    namespace.must(&["apply", "--filename", &file.display().to_string()]);
    namespace
}

/// Eight tasks that `first` has started, and `second`, which stands by; a rollout is in its beginning.
async fn in_the_middle_of_a_rollout(name: &str) -> (Namespace, [Operator; 2], PodRecorder) {
    let namespace = namespace(name).await;
    let first = Operator::start(&namespace, "first", &[]).await;
    first.until_leads(&namespace).await;
    let second = Operator::start(&namespace, "second", &[]).await;
    let new = format!("{name}:2");
    let slow = Behaviour::ReadyAfter(Duration::from_millis(900));
    namespace.cluster.behave(&Pods::image(new.clone()), slow).await.unwrap();
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", &format!("{name}:1"));
    namespace.apply_service("web", 8, 75, 125);
    namespace.until_steady("web", "web:1").await;
    let recorder = namespace.record().await;
    namespace.apply_task_definition("web", &new);
    let limit = Duration::from_mins(1);
    recorder
        .until("two new tasks", limit, |pods| pods.values().filter(|pod| runs(pod, &new)).count() >= 2)
        .await
        .unwrap();
    (namespace, [first, second], recorder)
}

/// Waits for the end of the rollout, in which each task was replaced once.
async fn assert_completed(namespace: &Namespace, recorder: &PodRecorder) {
    namespace.until_steady("web", "web:2").await;
    recorder.catch_up().await.unwrap();
    assert_kept(recorder, 6, 10);
    let added = recorder.events().unwrap().into_iter().filter(|event| event.change == Change::Added);
    let names: Vec<_> = added.map(|event| event.object.metadata.name.unwrap()).collect();
    assert_eq!((names.len(), names.iter().collect::<BTreeSet<_>>().len()), (8, 8), "each task was replaced once");
}

#[tokio::test]
async fn when_the_leader_is_killed_in_a_rollout_the_standby_completes_it_and_never_did_both_write() {
    let (namespace, [mut first, second], recorder) = in_the_middle_of_a_rollout("leader-killed").await;
    first.process.kill().unwrap();
    first.process.wait().unwrap();
    let after = second.until_leads(&namespace).await;
    println!("the standby led {after:?} after the leader was killed");
    assert!((Duration::from_secs(5)..Duration::from_secs(25)).contains(&after), "{after:?}");
    assert_completed(&namespace, &recorder).await;
    let (by_first, by_second) = (first.writes(&namespace).await, second.writes(&namespace).await);
    let last = by_first.iter().map(|write| write.completed).max().unwrap();
    assert!(!by_second.is_empty() && by_second.iter().all(|write| write.received > last));
}

#[tokio::test]
async fn a_leader_that_is_told_to_stop_releases_its_lease_and_the_standby_was_ready_all_along() {
    let namespace = namespace("leader-stopped").await;
    let mut first = Operator::start(&namespace, "first", &[]).await;
    first.until_leads(&namespace).await;
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let second = Operator::start(&namespace, "second", &["--admin-address", &address]).await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "leader-stopped:1");
    namespace.apply_service("web", 2, 100, 200);
    namespace.until_steady("web", "web:1").await;
    assert!(is_ready(&address));
    assert!(second.writes(&namespace).await.is_empty());

    first.signal("-TERM");
    let (status, after) = tokio::join!(first.until_ended(Duration::from_secs(20)), second.until_leads(&namespace));
    println!("the standby led {after:?} after the leader was told to stop");
    assert!(status.success(), "{status}");
    assert!(after < Duration::from_secs(6), "{after:?}");
    namespace.scale("web", 3);
    namespace.until_service("web", "three tasks", |status| status.running_count == Some(3)).await;
    assert!(is_ready(&address));
    assert_eq!(namespace.pods().await.iter().filter(|pod| is_active(pod)).count(), 3);
}

#[tokio::test]
async fn a_leader_that_stood_still_past_its_lease_writes_nothing_more_and_ends() {
    let (namespace, [mut first, second], recorder) = in_the_middle_of_a_rollout("leader-paused").await;
    first.signal("-STOP");
    second.until_leads(&namespace).await;
    let resumed = Timestamp::now();
    first.signal("-CONT");
    let status = first.until_ended(Duration::from_secs(5)).await;
    assert_eq!(status.code(), Some(1));
    assert!(namespace.log().contains("longshore: the leadership is lost"), "{}", namespace.log());
    assert_completed(&namespace, &recorder).await;
    let late = namespace.writes_of(&first.user).await.into_iter().filter(|write| write.received >= resumed);
    assert_eq!(late.collect::<Vec<_>>(), []);
}

fn is_ready(address: &str) -> bool {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.contains(" 200 ")
}
