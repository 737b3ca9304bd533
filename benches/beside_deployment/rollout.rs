//! The change of an image, from the change to the last pod.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_test_cluster::AuditRecord;
use tokio::time::Instant;

use crate::arena::Arena;
use crate::contestant::{Contestant, Window};
use crate::pods::Tasks;
use crate::table::{Table, seconds};
use crate::{Arguments, Failure};

const HEADER: &str = "
Rollout of another image to {tasks} tasks; median of {rounds} rounds (least–greatest).
wall: from the change until all new pods are Ready and all old ones have gone; nothing else is in the cluster.
requests: everything that the process wrote until its status was final and for 2 s more, Events included, by its user in
the audit log. CPU: of the process, over the same time. RSS: the most it ever had, from its start.";

/// How long the end of a rollout is listened after: what comes late belongs to it.
const AFTERMATH: Duration = Duration::from_secs(2);

/// One rollout.
struct Measured {
    wall: f64,
    requests: f64,
    cpu: f64,
    peak: f64,
}

pub(crate) async fn measure(arena: &Arena, arguments: &Arguments) -> Result<(), Failure> {
    let header = HEADER.replace("{tasks}", &arguments.tasks.to_string());
    println!("{}", header.replace("{rounds}", &arguments.rounds.to_string()));
    let mut measured: BTreeMap<String, [Vec<Measured>; 2]> = BTreeMap::new();
    for round in 0..arguments.rounds {
        for window in &arguments.windows {
            // Taking turns at who is first.
            let (ours, theirs) = (Contestant::Longshore, Contestant::Deployment);
            let order = if round.checked_rem(2) == Some(0) { [ours, theirs] } else { [theirs, ours] };
            for contestant in order.into_iter().filter(|one| *one == ours || !arguments.alone) {
                let outcome = roll_out(arena, contestant, arguments.tasks, *window).await?;
                let [of_longshore, of_deployment] = measured.entry(window.to_string()).or_default();
                if contestant == ours { of_longshore.push(outcome) } else { of_deployment.push(outcome) }
            }
        }
    }
    for window in &arguments.windows {
        let Some([ours, theirs]) = measured.get(&window.to_string()) else { continue };
        let mut table = Table::new();
        let mut line = |what, value: fn(&Measured) -> f64| {
            let of = |all: &[Measured]| all.iter().map(value).collect::<Vec<_>>();
            table.line(what, &of(ours), &of(theirs));
        };
        line("wall, s", |measured| measured.wall);
        line("mutating requests per replaced task", |measured| measured.requests);
        line("CPU, s", |measured| measured.cpu);
        line("peak RSS, MiB", |measured| measured.peak);
        table.print(&format!("minimum/maximum {window} %"));
    }
    Ok(())
}

/// One rollout by a process of its own, in a cluster that has no other tasks.
async fn roll_out(arena: &Arena, contestant: Contestant, tasks: usize, window: Window) -> Result<Measured, Failure> {
    let name = "web";
    let process = contestant.start(arena).await?;
    let mut pods = Tasks::watch(arena, contestant.namespace());
    contestant.apply(arena, name, "app:1", tasks, window).await?;
    pods.until_ready(tasks, "app:1").await?;
    contestant.until_told(arena, name).await?;
    tokio::time::sleep(AFTERMATH).await;

    let mark = arena.cluster.audit_mark().await?;
    let before = process.cost()?;
    let started = Instant::now();
    contestant.apply(arena, name, "app:2", tasks, window).await?;
    pods.until_ready(tasks, "app:2").await?;
    let wall = started.elapsed();
    drop(pods);
    contestant.until_told(arena, name).await?;
    let told = started.elapsed();
    tokio::time::sleep(AFTERMATH).await;
    let cost = process.cost()?;
    let records = arena.cluster.audit_since(mark).await?;
    let writes: Vec<_> = records.iter().filter(|record| contestant.wrote(arena, record)).collect();

    let cpu = cost.cpu.saturating_sub(before.cpu);
    println!(
        "{contestant:?} {window}: {:.2} s (told after {:.2} s), {} writes, {:.2} s CPU, {:.0} MiB; {}",
        seconds(wall),
        seconds(told),
        writes.len(),
        seconds(cpu),
        cost.peak,
        by_kind(&writes)
    );
    contestant.remove(arena, &[name.to_owned()]).await?;
    let number = |count: usize| u32::try_from(count).map_or(f64::INFINITY, f64::from);
    let requests = number(writes.len()) / number(tasks);
    Ok(Measured { wall: seconds(wall), requests, cpu: seconds(cpu), peak: cost.peak })
}

/// What the writes were, the most frequent first.
fn by_kind(writes: &[&AuditRecord]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for write in writes {
        let of = if write.subresource.is_empty() { "" } else { "/status" };
        let refused = if write.succeeded() { "" } else { " refused" };
        let count = counts.entry(format!("{} {}{of}{refused}", write.verb, write.resource)).or_default();
        *count = count.saturating_add(1);
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}
