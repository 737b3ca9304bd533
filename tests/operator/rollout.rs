//! Rolling updates.

use std::time::Duration;

use longshore_test_cluster::{Behaviour, Pods};

use crate::judge::assert_kept;
use crate::namespace::Namespace;

#[tokio::test]
async fn new_tasks_that_take_long_to_become_healthy_hold_up_the_update_and_not_the_service() {
    let namespace = Namespace::new("slow-start").await;
    let slow = Behaviour::ReadyAfter(Duration::from_secs(6));
    namespace.cluster.behave(&Pods::image("slow-start:2"), slow).await.unwrap();
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "slow-start:1");
    namespace.apply_service("web", 4, 75, 125);
    namespace.until_steady("web", "web:1").await;
    let recorder = namespace.record().await;
    namespace.apply_task_definition("web", "slow-start:2");
    namespace.until_steady("web", "web:2").await;
    recorder.catch_up().await.unwrap();
    assert_kept(&recorder, 3, 5);
}

#[tokio::test]
async fn replacing_n_tasks_costs_2n_writes_and_a_handful_more() {
    let namespace = Namespace::new("cost").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "cost:1");
    namespace.apply_service("web", 40, 75, 125);
    namespace.until_steady("web", "web:1").await;
    let before = namespace.writes().await.len();
    namespace.apply_task_definition("web", "cost:2");
    namespace.until_steady("web", "web:2").await;
    // The last status write has not brought its events and the cluster's counts yet.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let writes = namespace.writes().await.len() - before;
    println!("replacing 40 tasks took {writes} writes");
    assert!((80..=110).contains(&writes), "{writes} writes for 40 tasks");
}
