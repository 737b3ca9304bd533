//! How fast a lost task is replaced.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::DeleteParams;
use longshore_test_cluster::AuditRecord;

use crate::arena::Arena;
use crate::contestant::{Contestant, Window};
use crate::pods::Tasks;
use crate::table::Table;
use crate::{Arguments, Failure};

const HEADER: &str = "
Tasks of {tasks} are lost one after the other, {losses} of each, at irregular times.
From the arrival of the request that deletes a pod to that of the request for its replacement, by the audit log.";

pub(crate) async fn measure(arena: &Arena, arguments: &Arguments) -> Result<(), Failure> {
    let header = HEADER.replace("{tasks}", &arguments.tasks.to_string());
    println!("{}", header.replace("{losses}", &arguments.losses.to_string()));
    let window: Window = "100/200".parse()?;
    let name = "web".to_owned();
    let mut playing = Vec::new();
    for contestant in [Contestant::Longshore, Contestant::Deployment] {
        if contestant == Contestant::Longshore || !arguments.alone {
            let process = contestant.start(arena).await?;
            let mut pods = Tasks::watch(arena, contestant.namespace());
            contestant.apply(arena, &name, "app:1", arguments.tasks, window).await?;
            pods.until_ready(arguments.tasks, "app:1").await?;
            contestant.until_told(arena, &name).await?;
            playing.push((contestant, process, pods));
        }
    }
    let mark = arena.cluster.audit_mark().await?;
    let mut chance = Chance(1);
    for _ in 0..arguments.losses {
        for (contestant, _, pods) in &mut playing {
            tokio::time::sleep(Duration::from_millis(chance.below(600))).await;
            let names = pods.names();
            let lost = usize::try_from(chance.below(names.len() as u64))?;
            let lost = names.get(lost).ok_or("there is no pod")?;
            let api: Api<Pod> = Api::namespaced(arena.client.clone(), contestant.namespace());
            api.delete(lost, &DeleteParams::default()).await?;
            pods.until(|pods| !pods.contains_key(lost)).await?;
            pods.until_ready(arguments.tasks, "app:1").await?;
        }
    }
    let records = arena.cluster.audit_since(mark).await?;
    let ours = reactions(arena, Contestant::Longshore, &records);
    let theirs = reactions(arena, Contestant::Deployment, &records);
    let mut table = Table::new();
    for (what, percent) in [("p50, ms", 50), ("p90, ms", 90), ("p99, ms", 99), ("longest, ms", 100)] {
        let at = |sorted: &[f64]| percentile(sorted, percent).into_iter().collect::<Vec<_>>();
        table.line(what, &at(&ours), &at(&theirs));
    }
    table.print(&format!("{} losses", ours.len()));
    for (contestant, _process, _) in &playing {
        contestant.remove(arena, std::slice::from_ref(&name)).await?;
    }
    Ok(())
}

/// Milliseconds from each loss to the request for its replacement, sorted.
fn reactions(arena: &Arena, contestant: Contestant, records: &[AuditRecord]) -> Vec<f64> {
    let about_pods = |record: &&AuditRecord| {
        record.resource == "pods" && record.subresource.is_empty() && record.namespace == contestant.namespace()
    };
    let made = |record: &&AuditRecord| record.verb == "create" && contestant.wrote(arena, record);
    let mut made: Vec<_> = records.iter().filter(about_pods).filter(made).map(|record| record.received).collect();
    made.sort_unstable();
    // kwok deletes a pod a second time, when its containers have ended.
    let lost = records.iter().filter(about_pods).filter(|record| record.verb == "delete" && record.user == "admin");
    let reaction = |lost: &AuditRecord| {
        let replaced = made.iter().find(|made| **made > lost.received)?;
        Some(replaced.duration_since(lost.received).as_secs_f64() * 1000.0)
    };
    let mut reactions: Vec<f64> = lost.filter_map(reaction).collect();
    reactions.sort_by(f64::total_cmp);
    reactions
}

/// The value that `percent` of the sorted values do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = sorted.len().saturating_mul(percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Numbers that look random and are the same in every run (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.checked_rem(limit).unwrap_or(0)
    }
}
