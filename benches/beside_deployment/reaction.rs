//! How fast a lost task is replaced.

use std::time::Duration;

use jiff::Timestamp;
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
From the arrival of the request that deletes a pod to that of the request for its replacement, by the audit log; and how long
after the API server's answer to it: what goes before that is the server's.";

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
    let ours = Reactions::read(arena, Contestant::Longshore, &records);
    let theirs = Reactions::read(arena, Contestant::Deployment, &records);
    let mut table = Table::new();
    let at = |sorted: &[f64], percent| percentile(sorted, percent).into_iter().collect::<Vec<_>>();
    for (what, percent) in [("p50, ms", 50), ("p90, ms", 90), ("p99, ms", 99), ("longest, ms", 100)] {
        table.line(what, &at(&ours.from_request, percent), &at(&theirs.from_request, percent));
    }
    for (what, percent) in [("after the answer, p50, ms", 50), ("after the answer, p99, ms", 99)] {
        table.line(what, &at(&ours.from_answer, percent), &at(&theirs.from_answer, percent));
    }
    table.print(&format!("{} losses", ours.from_request.len()));
    for (contestant, _process, _) in &playing {
        contestant.remove(arena, std::slice::from_ref(&name)).await?;
    }
    Ok(())
}

/// Milliseconds to the requests for replacements, sorted.
struct Reactions {
    /// From the arrival of the request that deletes the pod.
    from_request: Vec<f64>,
    /// From the end of the answer to that. Less than nothing, where the watch was faster.
    from_answer: Vec<f64>,
}

impl Reactions {
    fn read(arena: &Arena, contestant: Contestant, records: &[AuditRecord]) -> Self {
        let about_pods = |record: &&AuditRecord| {
            record.resource == "pods" && record.subresource.is_empty() && record.namespace == contestant.namespace()
        };
        let made = |record: &&AuditRecord| record.verb == "create" && contestant.wrote(arena, record);
        let mut made: Vec<_> = records.iter().filter(about_pods).filter(made).map(|record| record.received).collect();
        made.sort_unstable();
        // kwok deletes a pod a second time, when its containers have ended.
        let lost = records.iter().filter(about_pods).filter(|record| record.verb == "delete" && record.user == "admin");
        let replaced = lost.filter_map(|lost| Some((lost, *made.iter().find(|made| **made > lost.received)?)));
        let replaced: Vec<_> = replaced.collect();
        let since = |start: fn(&AuditRecord) -> Timestamp| {
            let since = replaced.iter().map(|(lost, made)| made.duration_since(start(lost)).as_secs_f64() * 1000.0);
            let mut sorted: Vec<f64> = since.collect();
            sorted.sort_by(f64::total_cmp);
            sorted
        };
        Self { from_request: since(|lost| lost.received), from_answer: since(|lost| lost.completed) }
    }
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
