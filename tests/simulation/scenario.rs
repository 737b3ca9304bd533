//! One simulation: a time of trouble, then quiet, in which everything has to become right and stay so.

use std::time::Duration;

use jiff::SignedDuration;
use longshore::domain::pod::{self, PodBuilder};
use longshore_test_apiserver::Store;
use longshore_test_chance::Chance;
use tokio::time::{Instant, sleep};

use crate::budgets::Budgets;
use crate::controls::Controls;
use crate::convergence::difference;
use crate::faults::{Classes, Moment};
use crate::kubelet::Kubelets;
use crate::monkey::Monkey;
use crate::nodes::Nodes;
use crate::operator::{Begins, Operator};
use crate::people::People;
use crate::process::Outcome;
use crate::scheduler::Scheduler;
use crate::targets::Targets;
use crate::twin;
use crate::world::{World, lock};
use crate::zones::{self, Zones};

/// How often everybody looks around.
const TICK: Duration = Duration::from_millis(500);
/// How long there is trouble.
const TROUBLE: Duration = Duration::from_mins(5);
/// How long everything may take to become right.
const BOUND: Duration = Duration::from_mins(20);
/// How much longer, where a zone has had no room for a task: it is left alone for an hour, and then tried again.
const LEFT_ALONE: Duration = Duration::from_mins(65);
/// How long nothing may be written once it is.
const QUIET: Duration = Duration::from_mins(10);
/// How late the last of the late events may come.
const STRAGGLERS: Duration = Duration::from_secs(100);
/// How long a watch lasts, if nothing else ends it: what it has withheld comes with the next one.
const WATCH_LASTS: Duration = Duration::from_mins(5);
/// How long nothing was written when it counts as right.
const SETTLED: Duration = Duration::from_secs(20);

/// Everybody but the operators.
pub(crate) struct Cast {
    pub(crate) world: World,
    pub(crate) people: People,
    /// Those who look after DAEMON services.
    daemons: Option<People>,
    controls: Option<Controls>,
    budgets: Option<Budgets>,
    zones: Option<Zones>,
    pub(crate) kubelets: Kubelets,
    nodes: Nodes,
    targets: Targets,
    scheduler: Scheduler,
    monkey: Option<Monkey>,
    operators: Vec<Operator>,
    /// Whether the operators elect a leader among them.
    begins: Begins,
    /// How the operators that are started from now on build pods.
    pub(crate) build_pod: PodBuilder,
    started: usize,
    /// How long what was written in the time of trouble may still be on its way.
    stragglers: Duration,
}

/// The simulation of a seed. With an `election` there are two operators, and everything is to hold that holds for one.
pub(crate) async fn of_seed(seed: u64, election: bool) -> Outcome {
    let mut chance = Chance::new(seed, 0);
    let services = usize::try_from(chance.between(1, 3)).unwrap_or(1);
    let mut cast = Cast::new(seed, services);
    let two = chance.happens(150) || election;
    let operators = if two { 2 } else { 1 };
    cast.begins = if election { Begins::Elected } else { Begins::AtOnce };
    lock(&cast.world.ledger).lenient = two && !election;
    cast.kubelets.trouble = [0, 100, 400][usize::try_from(chance.below(3)).unwrap_or(0)];
    cast.targets.trouble = cast.kubelets.trouble;
    cast.scheduler.trouble = [0, 0, 150][usize::try_from(chance.below(3)).unwrap_or(0)];
    cast.monkey = chance.happens(600).then(|| Monkey::new(seed));
    let classes = Classes::draw(&mut chance, seed);
    cast.world.let_fail(classes);
    cast.nodes.trouble = classes.nodes;
    cast.daemons = classes.daemons.then(|| People::of_daemons(seed));
    cast.controls = classes.controls.then(|| Controls::new(seed));
    cast.budgets = classes.budgets.then(|| Budgets::new(&cast.world, seed));
    if classes.zones {
        cast.zones = Some(Zones::new(seed));
        cast.scheduler.know_zones(seed);
    }
    cast.kubelets.give_reasons(classes.reasons);
    if classes.drifts {
        cast.world.drift(seed);
    }
    if classes.digests {
        cast.kubelets.tell_digests();
    }
    let (crashes, jumps, compactions) = (chance.happens(400), chance.happens(250), chance.happens(300));
    for _ in 0..operators {
        cast.start_operator();
    }
    cast.people.begin(&cast.world);
    cast.daemons.iter_mut().for_each(|people| people.begin(&cast.world));
    cast.zones.iter_mut().for_each(|people| people.begin(&cast.world));
    let began = Instant::now();
    while began.elapsed() < TROUBLE && !cast.is_broken() {
        if crashes && chance.happens(6) {
            let moment = [Moment::Before, Moment::After, Moment::Stop][usize::try_from(chance.below(3)).unwrap_or(0)];
            let mut control = lock(&cast.world.faults.0);
            control.interrupt = Some((control.writes + chance.below(3), moment));
        }
        if jumps && chance.happens(5) {
            let hours = [1, -1, 24 * 400, 0][usize::try_from(chance.below(4)).unwrap_or(0)];
            cast.world.jump(SignedDuration::from_hours(hours));
        }
        if election && chance.happens(10) {
            lock(&cast.world.faults.0).lose_leases(Duration::from_secs(chance.between(5, 40)));
        }
        if compactions && chance.happens(10) {
            cast.world.server.compact();
        }
        cast.people.step(&cast.world);
        cast.daemons.iter_mut().for_each(|people| people.step(&cast.world));
        cast.controls.iter_mut().for_each(|people| people.step(&cast.world));
        cast.zones.iter_mut().for_each(|people| people.step(&cast.world));
        cast.tick().await;
    }
    cast.calm_down();
    cast.become_right(seed).await
}

impl Cast {
    pub(crate) fn new(seed: u64, services: usize) -> Self {
        let world = World::new(seed);
        let nodes = Nodes::new(&world, seed);
        Self {
            people: People::new(seed, services),
            daemons: None,
            controls: None,
            budgets: None,
            zones: None,
            kubelets: Kubelets::new(seed),
            nodes,
            targets: Targets::new(seed),
            scheduler: Scheduler::new(seed),
            monkey: None,
            operators: Vec::new(),
            begins: Begins::AtOnce,
            build_pod: pod::build,
            started: 0,
            stragglers: Duration::ZERO,
            world,
        }
    }

    pub(crate) fn start_operator(&mut self) {
        self.started += 1;
        self.operators.push(Operator::start(
            &self.world,
            (&format!("operator-{}", self.started), self.started),
            self.build_pod,
            self.begins,
        ));
    }

    pub(crate) fn is_broken(&self) -> bool {
        !lock(&self.world.ledger).broken.is_empty()
    }

    /// Everybody looks around once; an operator that is interrupted is started again.
    pub(crate) async fn tick(&mut self) {
        self.nodes.step(&self.world);
        self.kubelets.step(&self.world, &self.nodes);
        self.targets.step(&self.world);
        self.scheduler.step(&self.world);
        self.budgets.iter_mut().for_each(|drain| drain.step(&self.world));
        if let Some(monkey) = &mut self.monkey {
            monkey.step(&self.world);
        }
        let wake = lock(&self.world.faults.0).wake.clone();
        tokio::select! {
            biased;
            () = wake.notified() => self.interrupt().await,
            () = sleep(TICK) => {}
        }
        while let Some(ended) = self.operators.iter().position(Operator::has_ended) {
            match self.begins {
                Begins::AtOnce => lock(&self.world.ledger).broken.push("the operator has ended".to_owned()),
                Begins::Elected => lock(&self.world.ledger).note("an operator has lost its leadership"),
            }
            self.operators.remove(ended);
            self.start_operator();
        }
    }

    /// All operators end.
    pub(crate) async fn stop(&mut self) {
        for operator in std::mem::take(&mut self.operators) {
            operator.stop().await;
        }
    }

    /// Another version of the operator takes over.
    pub(crate) async fn upgrade(&mut self, build_pod: PodBuilder) {
        self.stop().await;
        self.build_pod = build_pod;
        self.start_operator();
    }

    async fn interrupt(&mut self) {
        let Some((moment, name)) = lock(&self.world.faults.0).interrupted.take() else { return };
        let Some(index) = self.operators.iter().position(|operator| operator.is(&name)) else { return };
        let operator = self.operators.remove(index);
        lock(&self.world.ledger).note(&format!("{name} is interrupted: {moment:?}"));
        match moment {
            Moment::Before | Moment::After => operator.kill(&self.world).await,
            Moment::Stop => operator.stop().await,
            Moment::Unclear => unreachable!("nobody is interrupted by it"),
        }
        sleep(Duration::from_secs(1)).await;
        self.start_operator();
    }

    /// No more trouble from now on.
    pub(crate) fn calm_down(&mut self) {
        lock(&self.world.ledger).note("quiet");
        let classes = lock(&self.world.faults.0).classes;
        self.stragglers = if classes.silences { WATCH_LASTS } else { STRAGGLERS };
        self.world.let_fail(classes.calm());
        self.world.set_clocks_right();
        let mut control = lock(&self.world.faults.0);
        control.interrupt = None;
        control.lose_leases(Duration::ZERO);
        drop(control);
        self.monkey = None;
        self.nodes.heal(&self.world);
        self.kubelets.heal();
        self.targets.heal();
        self.scheduler.trouble = 0;
        self.people.calm_down(&self.world);
        self.daemons.iter_mut().for_each(|people| people.calm_down(&self.world));
        self.controls.iter_mut().for_each(|people| people.calm_down(&self.world));
        if let Some(mut drain) = self.budgets.take() {
            drain.end_drain(&self.world);
        }
    }

    /// Everything becomes right within the bound, or it is told what does not.
    pub(crate) async fn converge(&mut self) -> Option<String> {
        let began = Instant::now();
        let mut bound = BOUND;
        loop {
            self.tick().await;
            if self.world.server.read(zones::is_any_left_alone) {
                bound = BOUND + LEFT_ALONE;
                if lock(&self.world.ledger).last_write.elapsed() >= SETTLED {
                    // The hour takes as long as any other; nobody needs to look around as often.
                    sleep(SETTLED / 2).await;
                }
            }
            self.people.restore(&self.world);
            self.daemons.iter_mut().for_each(|people| people.restore(&self.world));
            if self.is_broken() {
                return None;
            }
            let (settled, late) = (lock(&self.world.ledger).last_write.elapsed() >= SETTLED, began.elapsed() > bound);
            if (!settled && !late) || began.elapsed() < self.stragglers {
                continue;
            }
            match self.world.server.read(difference) {
                None if settled => return None,
                difference if late => {
                    let difference = difference.unwrap_or_else(|| "it still writes".to_owned());
                    return Some(format!("not right after {bound:?}: {difference}"));
                }
                _ => {}
            }
        }
    }

    /// Waits until nothing has been written for a while.
    pub(crate) async fn settle(&mut self) {
        let began = Instant::now();
        while lock(&self.world.ledger).last_write.elapsed() < SETTLED && began.elapsed() < BOUND {
            self.tick().await;
        }
    }

    /// The end of most simulations: everything becomes right, and as it would have been without faults.
    pub(crate) async fn become_right(mut self, seed: u64) -> Outcome {
        if let Some(difference) = self.converge().await {
            lock(&self.world.ledger).broken.push(format!("ESR: {difference}"));
        }
        if !self.is_broken()
            && let Some(difference) = twin::difference(&self.world, seed).await
        {
            lock(&self.world.ledger).broken.push(format!("ESR: {difference}"));
        }
        self.be_quiet(difference).await
    }

    /// Nothing is written any more (I10), and nothing becomes wrong.
    pub(crate) async fn be_quiet(mut self, difference: fn(&Store) -> Option<String>) -> Outcome {
        let (began, writes) = (Instant::now(), lock(&self.world.ledger).writes);
        let mut revision = 0;
        while began.elapsed() < QUIET && !self.is_broken() {
            self.tick().await;
            let now = self.world.server.read(Store::revision);
            if std::mem::replace(&mut revision, now) != now
                && let Some(difference) = self.world.server.read(difference)
            {
                lock(&self.world.ledger).broken.push(format!("ESR: right, and then {difference}"));
            }
            let more = lock(&self.world.ledger).writes - writes;
            if more > 0 {
                let mut ledger = lock(&self.world.ledger);
                let last = ledger.last_written.clone();
                ledger.broken.push(format!("I10: {more} writes, and nothing has happened; the last: {last}"));
            }
        }
        self.outcome()
    }

    fn outcome(&self) -> Outcome {
        let ledger = lock(&self.world.ledger);
        let log = || ledger.log.iter().cloned().collect::<Vec<_>>().join("\n");
        let broken = (!ledger.broken.is_empty()).then(|| format!("{}\n{}", log(), ledger.broken.join("\n")));
        Outcome { fingerprint: ledger.fingerprint, writes: ledger.writes, broken }
    }
}
