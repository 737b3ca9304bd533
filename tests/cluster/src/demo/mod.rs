//! The demo: what a newcomer does first, each command as it is typed and its output as it comes.

mod operator;
mod person;
mod rollout;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longshore_test_cluster::{Program, Programs};
use tokio::time::Instant;

use crate::standing::Standing;
use person::Person;
use rollout::{Bounds, Rollout};

/// The two images between which the demo rolls to and fro, so that it can be run again.
const IMAGES: [&str; 2] = ["podinfo:6.9.2", "podinfo:6.9.3"];

const SAMPLES: &str = "config/samples/ecs/cluster.json config/samples/ecs/api-*.json config/samples/ecs/worker-*.json";

/// How many nodes the cluster has.
const NODES: usize = 6;

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// A command failed; it has said why.
    #[error("`{0}` failed; mend what it says and run the demo again")]
    Command(String),
    /// A command could not be run.
    #[error("could not run `{command}`")]
    Run { command: String, source: io::Error },
    /// A command's output is not what it should be.
    #[error("could not read the output of `{command}`")]
    Output { command: String, source: serde_json::Error },
    /// The operator is not there to be run.
    #[error("there is no operator at {}; build it with `cargo build`", .0.display())]
    NoOperator(PathBuf),
    /// The operator ended, or hangs.
    #[error("the operator was not ready after {} s; see its log, named above", .0.as_secs())]
    NotReady(Duration),
    /// Tasks could not be watched.
    #[error("could not watch the tasks")]
    Watch(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The rollout hangs.
    #[error("the rollout did not end within {} s; see `kubectl describe esvc api`", .0.as_secs())]
    Slow(Duration),
    /// A promise was broken.
    #[error("{0}: this must never happen, please report it")]
    Broken(String),
}

/// Shows Longshore at work, and leaves all of it running.
pub(crate) fn run(standing: &Standing, state: Option<&Path>) -> Result<(), Box<dyn std::error::Error>> {
    let root = std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))?;
    let here = std::env::current_exe()?.parent().map(Path::to_owned).unwrap_or_default();
    let longshore = here.join("longshore");
    if !longshore.exists() {
        return Err(DemoError::NoOperator(longshore).into());
    }
    let programs = Programs::build(&Program::CLUSTER)?;
    let started = Instant::now();

    title("A control plane: etcd, API server, scheduler, controllers; kwok plays the nodes and containers");
    let kubeconfig = standing.up(NODES, None)?;
    let tools = programs.path(Program::Kubectl).parent().map(Path::to_owned).unwrap_or_default();
    let person = Person::new(root, &[here, tools], kubeconfig)?;

    title("The operator: a process beside the cluster, with the rights of config/rbac and no others");
    person.types("kubectl apply --server-side -k config/crd")?;
    person.types("kubectl apply --server-side -f config/manager/namespace.yaml")?;
    person.types("kubectl apply --server-side -k config/rbac")?;
    operator::start(&person, state)?;

    title("ECS JSON becomes running tasks");
    if person.succeeds("kubectl get esvc api worker") {
        println!("The samples are there from the last time.");
    } else {
        person.types(&format!("longshore import {SAMPLES} | kubectl apply -f -"))?;
    }
    person.types("kubectl wait --for=condition=Ready esvc/api esvc/worker --timeout=2m")?;
    println!("Tasks run {:.1} s after the start.", started.elapsed().as_secs_f32());
    person.types("kubectl scale esvc/api --replicas=6")?;
    person.types("kubectl wait --for=condition=Ready esvc/api --timeout=2m")?;
    person.types("kubectl get ecl,td,tdr,esvc")?;
    person.types("kubectl get pods -L ecs.longshore.dev/service,ecs.longshore.dev/revision")?;

    title("A new image rolls out, and never too few tasks are healthy");
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(roll_out(&person))?;
    person.types("kubectl wait --for=condition=Ready esvc/api --timeout=2m")?;
    person.types("kubectl get td,esvc")?;
    println!("\nWhat ECS would tell of it, newest first:");
    person.types(r#"kubectl get esvc api -o jsonpath='{range .status.events[*]}{.message}{"\n"}{end}' | head -5"#)?;

    title("Look around");
    println!("Cluster and operator go on until `make cluster-down`. In your shell:\n");
    println!("{}", person.hints());
    println!("  kubectl get esvc,td,pods");
    println!("  kubectl describe esvc api");
    println!("  kubectl explain esvc.spec");
    println!("  kubectl scale esvc/worker --replicas=20");
    println!("  kubectl delete pod -l ecs.longshore.dev/service=worker   # and see new tasks start");
    Ok(())
}

fn title(text: &str) {
    println!("\n== {text}");
}

async fn roll_out(person: &Person) -> Result<(), DemoError> {
    let definition = person.reads("kubectl get td api -o json")?.to_string();
    let image = IMAGES.into_iter().find(|image| !definition.contains(image)).unwrap_or_default();
    let bounds = Bounds::of(&person.reads("kubectl get esvc api -o json")?);
    println!(
        "{} tasks are wanted: at least {} healthy (the floor), at most {} at once (the ceiling).",
        bounds.desired, bounds.floor, bounds.ceiling
    );
    let mut rollout = Rollout::begin(person.client().await?).await?;
    person.types(&format!(
        "sed 's/podinfo:[0-9.]*/{image}/' config/samples/ecs/api-task-definition.json | longshore import - | kubectl apply -f -"
    ))?;
    let extremes = rollout.follow(bounds).await?;
    println!(
        "Measured at every change of a pod: never fewer than {} healthy (floor {}), never more than {} at once (ceiling {}).",
        extremes.fewest_healthy, bounds.floor, extremes.most_active, bounds.ceiling
    );
    if extremes.fewest_healthy < bounds.floor || extremes.most_active > bounds.ceiling {
        return Err(DemoError::Broken("the rollout left its bounds".to_owned()));
    }
    Ok(())
}
