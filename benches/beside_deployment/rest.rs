//! Many tasks at rest: what it costs to look after them, and how long a new process needs to know them.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::DeleteParams;
use tokio::time::Instant;

use crate::arena::Arena;
use crate::contestant::{Contestant, LIMIT, Window};
use crate::pods::Tasks;
use crate::table::{Table, seconds};
use crate::{Arguments, Failure};

const HEADER: &str = "
{services} services of {tasks} tasks each, at rest. A pod is deleted while no process runs; then a process starts.
first write: from its start until its request for the replacement arrives at the API server. CPU: over one minute, from 10 s
after the start. RSS: after that minute, and the most that this process ever had.";

/// How long a process settles before its idle CPU is measured, and how long that takes.
const SETTLED: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_mins(1);

#[derive(Default)]
struct Measured {
    first_write: Vec<f64>,
    cpu: Vec<f64>,
    resident: Vec<f64>,
    peak: Vec<f64>,
}

pub(crate) async fn measure(arena: &Arena, arguments: &Arguments) -> Result<(), Failure> {
    let header = HEADER.replace("{services}", &arguments.services.to_string());
    println!("{}", header.replace("{tasks}", &arguments.tasks_at_rest.to_string()));
    let ours = rest(arena, Contestant::Longshore, arguments).await?;
    let theirs =
        if arguments.alone { Measured::default() } else { rest(arena, Contestant::Deployment, arguments).await? };
    let mut table = Table::new();
    table.line("process start to first write, s", &ours.first_write, &theirs.first_write);
    table.line("CPU in an idle minute, s", &ours.cpu, &theirs.cpu);
    table.line("RSS at rest, MiB", &ours.resident, &theirs.resident);
    table.line("peak RSS, MiB", &ours.peak, &theirs.peak);
    let tasks = arguments.services.saturating_mul(arguments.tasks_at_rest);
    table.print(&format!("{tasks} tasks at rest"));
    Ok(())
}

async fn rest(arena: &Arena, contestant: Contestant, arguments: &Arguments) -> Result<Measured, Failure> {
    let names: Vec<String> = (0..arguments.services).map(|number| format!("web-{number}")).collect();
    let window: Window = "100/200".parse()?;
    let builder = contestant.start(arena).await?;
    let mut pods = Tasks::watch(arena, contestant.namespace());
    let began = Instant::now();
    for name in &names {
        contestant.apply(arena, name, "app:1", arguments.tasks_at_rest, window).await?;
    }
    pods.until_ready(arguments.services.saturating_mul(arguments.tasks_at_rest), "app:1").await?;
    for name in &names {
        contestant.until_told(arena, name).await?;
    }
    let built = builder.cost()?;
    println!(
        "{contestant:?}: all tasks run after {:.1} s, {:.2} s CPU, {:.1} MiB at most",
        seconds(began.elapsed()),
        seconds(built.cpu),
        built.peak
    );
    drop(builder);

    let lost = pods.names().into_iter().next().ok_or("there is no pod")?;
    Api::<Pod>::namespaced(arena.client.clone(), contestant.namespace())
        .delete(&lost, &DeleteParams::default())
        .await?;
    pods.until(|pods| !pods.contains_key(&lost)).await?;
    drop(pods);
    let mark = arena.cluster.audit_mark().await?;
    let process = contestant.start(arena).await?;
    let first_write = first_create(arena, contestant, mark, process.started).await?;
    tokio::time::sleep(SETTLED).await;
    let before = process.cost()?;
    tokio::time::sleep(IDLE).await;
    let cost = process.cost()?;
    println!("{contestant:?}: first write after {first_write:.2} s; log: {}", process.log().display());
    contestant.remove(arena, &names).await?;
    Ok(Measured {
        first_write: vec![first_write],
        cpu: vec![seconds(cost.cpu.saturating_sub(before.cpu))],
        resident: vec![cost.resident],
        peak: vec![cost.peak],
    })
}

/// How long it takes from the start of a process to its first create of a pod.
async fn first_create(
    arena: &Arena,
    contestant: Contestant,
    mark: longshore_test_cluster::AuditMark,
    started: Timestamp,
) -> Result<f64, Failure> {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        let records = arena.cluster.audit_since(mark).await?;
        let mut creates = records
            .iter()
            .filter(|record| contestant.wrote(arena, record) && record.resource == "pods" && record.verb == "create");
        if let Some(create) = creates.next() {
            return Ok(create.received.duration_since(started).as_secs_f64());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err("no replacement was made".into())
}
