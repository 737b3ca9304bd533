//! Candidates for one lease, in paused time, against an API server inside the process.

use std::sync::{Arc, Mutex};

use http::Method;
use jiff::{SignedDuration, Timestamp};
use kube::Resource;
use longshore_test_apiserver::{After, ApiServer, Before, Call, Change, Delivery, Failure, FaultPlan, Verb};
use serde_json::Value;
use tokio::time::advance;
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::domain::leader_election::LEASE_DURATION;

const NAMESPACE: &str = "longshore-system";

/// What becomes of the requests of `a`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Faults {
    #[default]
    None,
    /// They hang.
    Hang,
    /// The next answer to a write does not arrive.
    LoseOne,
    /// They are refused.
    Forbid,
}

#[derive(Clone, Default)]
struct Plan(Arc<Mutex<Faults>>);

impl Plan {
    fn set(&self, faults: Faults) {
        *self.0.lock().unwrap() = faults;
    }
}

impl FaultPlan for Plan {
    fn before(&mut self, call: &Call) -> Before {
        let faults = *self.0.lock().unwrap();
        match faults {
            Faults::Hang if &*call.actor == "a" => Before::Hang,
            Faults::Forbid if &*call.actor == "a" => {
                Before::Refuse(Duration::ZERO, Failure::new(403, "Forbidden", "leases is forbidden"))
            }
            _ => Before::Proceed(Duration::from_millis(5)),
        }
    }

    fn after(&mut self, call: &Call, _: Result<&Value, &Failure>) -> After {
        let mut faults = self.0.lock().unwrap();
        if *faults == Faults::LoseOne && &*call.actor == "a" && call.verb == Verb::Update {
            *faults = Faults::None;
            return After::Hang;
        }
        After::Answer(Duration::ZERO)
    }

    fn deliver(&mut self, _: &Call, _: &Change) -> Delivery {
        Delivery::Later(Duration::ZERO)
    }
}

struct World {
    server: ApiServer,
    plan: Plan,
    stop: CancellationToken,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "what the candidates find there")]
    async fn new() -> Self {
        let server = ApiServer::new(&[], now());
        let plan = Plan::default();
        server.set_faults(plan.clone());
        let namespaces = Api::<k8s_openapi::api::core::v1::Namespace>::all(server.client("somebody"));
        let mut namespace = k8s_openapi::api::core::v1::Namespace::default();
        namespace.meta_mut().name = Some(NAMESPACE.to_owned());
        namespaces.create(&PostParams::default(), &namespace).await.unwrap();
        Self { server, plan, stop: CancellationToken::new() }
    }

    fn candidate(&self, name: &str) -> Candidate {
        Candidate::new(self.server.client(name), NAMESPACE, "longshore", Some(name), Clock::new(now()))
    }

    /// Waits until a candidate leads.
    async fn leader(&self, name: &str) -> Leader {
        self.candidate(name).lead(&self.stop).await.unwrap().unwrap()
    }

    async fn lease(&self) -> LeaseSpec {
        let leases = Api::<Lease>::namespaced(self.server.client("somebody"), NAMESPACE);
        leases.get("longshore").await.unwrap().spec.unwrap()
    }
}

/// The wall clock, which goes as the time that is paused does.
fn now() -> impl Fn() -> Timestamp + Send + Sync + 'static {
    let began = Instant::now();
    move || Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from(began.elapsed()).unwrap()).unwrap()
}

/// Whether what is behind the fence may write.
async fn writes(fence: &Fence) -> bool {
    let server = service_fn(async |_| Ok::<_, tower::BoxError>(()));
    let request = http::Request::builder().method(Method::POST).body(()).unwrap();
    fence.layer(server).oneshot(request).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn one_leads_for_as_long_as_it_works_and_the_other_soon_after_it_has_released_the_lease() {
    let world = World::new().await;
    let first = world.leader("a").await;
    let fence = first.fence();
    let works = async {
        let ((), leader) = first.while_leading(sleep(Duration::from_mins(10))).await.unwrap();
        assert!(writes(&fence).await);
        leader.release().await;
        Instant::now()
    };
    let follows = async { (world.leader("b").await, Instant::now()) };
    let (released, (second, led)) = tokio::join!(works, follows);
    assert!(!writes(&fence).await && writes(&second.fence()).await);
    let after = led.checked_duration_since(released).expect("the first has released it before");
    assert!(after < Duration::from_secs(3), "{after:?}");
    let lease = world.lease().await;
    assert!(lease.holder_identity.unwrap().starts_with("b_"));
    assert_eq!(lease.lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_requests_for_the_lease_come_to_nothing_has_stopped_before_another_begins() {
    for faults in [Faults::Hang, Faults::Forbid] {
        let world = World::new().await;
        let first = world.leader("a").await;
        let fence = first.fence();
        let (mut renewed, mut lost) = (Instant::now(), None);
        let works = async {
            let work = async {
                sleep(Duration::from_secs(30)).await;
                world.plan.set(faults);
                renewed = Instant::now();
                std::future::pending::<()>().await;
            };
            assert_eq!(first.while_leading(work).await.err(), Some(Loss::Overdue));
            assert!(!writes(&fence).await);
            lost = Some(Instant::now());
        };
        let (second, ()) = tokio::join!(async { (world.leader("b").await, Instant::now()).1 }, works);
        let lost = lost.unwrap();
        assert!(lost.duration_since(renewed) <= RENEW_DEADLINE, "{faults:?}");
        let between = second.duration_since(lost);
        assert!(between >= LEASE_DURATION.saturating_sub(RENEW_DEADLINE), "{faults:?}: {between:?}");
        assert!(second.duration_since(renewed) < Duration::from_secs(20), "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_answer_that_does_not_arrive_costs_no_leadership() {
    let world = World::new().await;
    let leader = world.leader("a").await;
    let work = async {
        sleep(Duration::from_secs(30)).await;
        world.plan.set(Faults::LoseOne);
        sleep(Duration::from_secs(30)).await;
    };
    assert!(leader.while_leading(work).await.is_ok());
    assert_eq!(*world.plan.0.lock().unwrap(), Faults::None, "an answer was lost");
    assert_eq!(world.lease().await.lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "somebody else writes the lease")]
async fn a_leader_from_whom_the_lease_was_taken_ends() {
    let world = World::new().await;
    let leader = world.leader("a").await;
    let work = async {
        let leases = Api::<Lease>::namespaced(world.server.client("somebody"), NAMESPACE);
        let mut lease = leases.get("longshore").await.unwrap();
        lease.spec.as_mut().unwrap().holder_identity = Some("b".to_owned());
        leases.replace("longshore", &PostParams::default(), &lease).await.unwrap();
        std::future::pending::<()>().await;
    };
    assert_eq!(leader.while_leading(work).await.err(), Some(Loss::Taken { holder: "b".to_owned() }));
    assert_eq!(world.lease().await.holder_identity.as_deref(), Some("b"), "its lease is left alone");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_past_its_deadline_does_not_lead_when_it_goes_on() {
    let world = World::new().await;
    let leader = world.leader("a").await;
    let fence = leader.fence();
    advance(RENEW_DEADLINE + Duration::from_secs(1)).await;
    assert!(!writes(&fence).await);
    assert_eq!(leader.while_leading(std::future::pending::<()>()).await.err(), Some(Loss::Overdue));
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_is_told_to_stop_has_written_nothing() {
    let world = World::new().await;
    let _leader = world.leader("a").await;
    let standby = world.candidate("b");
    let stop = async {
        sleep(Duration::from_secs(5)).await;
        world.stop.cancel();
    };
    let (led, ()) = tokio::join!(standby.lead(&world.stop), stop);
    assert!(led.unwrap().is_none());
    assert!(world.lease().await.holder_identity.unwrap().starts_with("a_"));
}
